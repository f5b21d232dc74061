add_test(NAME mpi/ranks COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/ranks.sh $<TARGET_FILE:sievert>)
set_tests_properties(mpi/ranks PROPERTIES TIMEOUT 240 SKIP_RETURN_CODE 77)
add_test(NAME mpi/ranks-lost COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/ranks.sh $<TARGET_FILE:sievert> slow)
set_tests_properties(mpi/ranks-lost PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 LABELS slow)
