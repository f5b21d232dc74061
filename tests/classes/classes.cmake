# The slow reference in Python: SKIP where there is none.
find_program(PYTHON3 python3)
add_test(NAME classes/reference
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/classes/reference.sh $<TARGET_FILE:sievert> ${PYTHON3})
set_tests_properties(classes/reference PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
