# The ONNX reader is made from ONNX's own .proto when building.
find_program(PROTOC_C protoc-c REQUIRED)
find_path(ONNX_PROTO_DIR onnx.proto PATH_SUFFIXES onnx REQUIRED)
set(onnx_pb ${CMAKE_BINARY_DIR}/onnx)
file(MAKE_DIRECTORY ${onnx_pb})
add_custom_command(
  OUTPUT ${onnx_pb}/onnx.pb-c.c ${onnx_pb}/onnx.pb-c.h
  COMMAND ${PROTOC_C} --proto_path=${ONNX_PROTO_DIR} --c_out=${onnx_pb} onnx.proto
  DEPENDS ${ONNX_PROTO_DIR}/onnx.proto
  VERBATIM)
add_library(sv_onnx_pb STATIC ${onnx_pb}/onnx.pb-c.c)
target_compile_options(sv_onnx_pb PRIVATE -w)
target_include_directories(sv_onnx_pb SYSTEM PUBLIC ${onnx_pb})
target_link_libraries(sv_onnx_pb PUBLIC PkgConfig::PROTOBUF_C)
# gomp: oneDNN's threads, of which nn uses one.
target_link_libraries(sv_nn PUBLIC sv_onnx_pb gomp)
