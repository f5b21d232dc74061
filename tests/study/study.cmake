add_test(NAME study/small
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/study/small.sh $<TARGET_FILE:sievert>)
