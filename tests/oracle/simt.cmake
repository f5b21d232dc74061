# Simulated convolutions share the shapes and references of tests/conv (targets named at generation).
if(TARGET oracle_simt_conv)
  target_link_libraries(oracle_simt_conv PRIVATE test_conv)
endif()
