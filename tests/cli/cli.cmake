add_test(NAME cli/words COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/words.sh $<TARGET_FILE:sievert>)
set_tests_properties(cli/words PROPERTIES TIMEOUT 60)
add_test(NAME cli/commands COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/commands.sh $<TARGET_FILE:sievert>
                                   ${CMAKE_SOURCE_DIR})
set_tests_properties(cli/commands PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77)
find_program(PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(PYTHON3)
  add_test(NAME cli/terminal COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/cli/terminal.py
                                     $<TARGET_FILE:sievert> ${CMAKE_SOURCE_DIR})
  set_tests_properties(cli/terminal PROPERTIES TIMEOUT 120)
  if(NOT SIEVERT_SANITIZE) # sanitizers need memory of their own
    add_test(NAME cli/memory COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/cli/memory.py
                                     $<TARGET_FILE:sievert>)
    set_tests_properties(cli/memory PROPERTIES TIMEOUT 120)
  endif()
endif()
add_test(NAME cli/export COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/cli/export.sh $<TARGET_FILE:sievert>)
set_tests_properties(cli/export PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77)
