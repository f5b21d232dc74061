add_test(NAME cli/words COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/words.sh $<TARGET_FILE:sievert>)
set_tests_properties(cli/words PROPERTIES TIMEOUT 60)
add_test(NAME cli/commands COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/commands.sh $<TARGET_FILE:sievert>
                                   ${CMAKE_SOURCE_DIR})
set_tests_properties(cli/commands PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77)
