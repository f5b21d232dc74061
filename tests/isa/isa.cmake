# One reference per row of isa.def: the expressions want the flags that the steps are compiled with.
sievert_test(isa ${CMAKE_CURRENT_SOURCE_DIR}/isa/test_rows.c)
target_compile_options(isa_rows PRIVATE -O1 -fno-strict-aliasing -fno-math-errno -fno-trapping-math)
target_link_libraries(isa_rows PRIVATE test_rig)
sievert_test(isa ${CMAKE_CURRENT_SOURCE_DIR}/isa/test_doc.c)
