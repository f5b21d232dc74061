# What the tests of convolutions share: the grid of shapes with its references, and PoCL.
add_library(test_conv STATIC EXCLUDE_FROM_ALL conv/cases.c)
target_link_libraries(test_conv PUBLIC test_all)
target_include_directories(test_conv PUBLIC conv)

find_library(OPENCL_LIBRARY OpenCL)
find_path(OPENCL_HEADERS CL/cl.h)
if(OPENCL_LIBRARY AND OPENCL_HEADERS)
  add_library(test_native STATIC EXCLUDE_FROM_ALL conv/native.c)
  target_link_libraries(test_native PUBLIC ${OPENCL_LIBRARY})
else()
  add_library(test_native STATIC EXCLUDE_FROM_ALL conv/native_absent.c)
endif()
target_link_libraries(test_native PUBLIC test_conv)

foreach(name oracle_conv_reference oracle_conv_sim oracle_onnx_conv prop_conv)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE test_conv)
  endif()
endforeach()
target_link_libraries(oracle_pocl_conv PRIVATE test_native)
foreach(name pocl_conv conv_sim)
  add_test(NAME oracle/${name}_all COMMAND oracle_${name} all)
  set_tests_properties(oracle/${name}_all PROPERTIES TIMEOUT 1800 SKIP_RETURN_CODE 77 LABELS slow)
endforeach()

add_test(NAME oracle/ptxas COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/conv/ptxas.sh
         ${CMAKE_BINARY_DIR}/kernels/ptx ${CMAKE_BINARY_DIR}/ptxas.tsv)
set_tests_properties(oracle/ptxas PROPERTIES TIMEOUT 1800 SKIP_RETURN_CODE 77 LABELS slow)
