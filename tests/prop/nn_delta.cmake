target_sources(prop_nn_delta PRIVATE ${CMAKE_SOURCE_DIR}/bench/resnet18.c)
target_include_directories(prop_nn_delta PRIVATE ${CMAKE_SOURCE_DIR})
