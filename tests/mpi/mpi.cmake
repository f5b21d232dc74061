add_test(NAME mpi/ranks COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/ranks.sh $<TARGET_FILE:sievert>)
set_tests_properties(mpi/ranks PROPERTIES TIMEOUT 240 SKIP_RETURN_CODE 77)
add_test(NAME mpi/ranks-lost COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/ranks.sh $<TARGET_FILE:sievert> slow)
set_tests_properties(mpi/ranks-lost PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 LABELS slow)
add_test(NAME mpi/slurm COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/mpi/slurm.sh $<TARGET_FILE:sievert>
         ${CMAKE_SOURCE_DIR}/examples/campaign.slurm)
set_tests_properties(mpi/slurm PROPERTIES TIMEOUT 120)
