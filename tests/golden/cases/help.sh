"$SIEVERT" --help
