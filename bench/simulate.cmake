target_sources(bench_simulate PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/resnet18.c)
