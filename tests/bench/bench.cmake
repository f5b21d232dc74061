# What make bench does with what the benches print; the benches themselves measure, and test nothing.
add_test(NAME bench/log COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/bench/log.sh)
