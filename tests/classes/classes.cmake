# The slow reference in Python, and every way of writing a tensor: SKIP where there is none.
find_program(PYTHON3 python3)
add_test(NAME classes/reference COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/classes/reference.sh
         $<TARGET_FILE:sievert> reference.py ${PYTHON3} 1 300)
add_test(NAME classes/formats COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/classes/reference.sh
         $<TARGET_FILE:sievert> formats.py ${PYTHON3} 1)
set_tests_properties(classes/reference classes/formats PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
