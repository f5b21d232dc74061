# Every command that a document shows. The slow ones run again what comes before them.
find_program(PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
if(PYTHON3)
  foreach(kind quick slow)
    add_test(NAME docs/${kind}
             COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/docs/commands.py ${kind} $<TARGET_FILE:sievert>
                     ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/docs-${kind})
    set_tests_properties(docs/${kind} PROPERTIES TIMEOUT 1500)
  endforeach()
  set_tests_properties(docs/slow PROPERTIES LABELS slow)
  add_test(NAME docs/costs COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/docs/costs.sh $<TARGET_FILE:sievert>
                                   ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/docs-costs)
  set_tests_properties(docs/costs PROPERTIES TIMEOUT 120)
endif()
