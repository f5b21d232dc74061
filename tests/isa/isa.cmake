# Every row of isa.def, and the document that the table makes.
sievert_test(isa ${CMAKE_CURRENT_SOURCE_DIR}/isa/test_rows.c)
target_link_libraries(isa_rows PRIVATE test_rig)
sievert_test(isa ${CMAKE_CURRENT_SOURCE_DIR}/isa/test_doc.c)
