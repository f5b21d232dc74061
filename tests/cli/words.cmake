add_test(NAME cli/words COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/words.sh $<TARGET_FILE:sievert>)
set_tests_properties(cli/words PROPERTIES TIMEOUT 60)
