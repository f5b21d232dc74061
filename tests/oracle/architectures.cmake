# Networks as PyTorch writes them: SKIP where it is not installed (tools/install-deps.sh --train).
find_program(PYTHON3 NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
add_test(NAME oracle/architectures
         COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/oracle/architectures.py $<TARGET_FILE:sievert>)
set_tests_properties(oracle/architectures PROPERTIES
  TIMEOUT 300 SKIP_RETURN_CODE 77 ENVIRONMENT "OMP_NUM_THREADS=1")
