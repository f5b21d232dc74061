# schema.sql becomes a C array, so that the program needs no file at run time.
set(schema ${CMAKE_SOURCE_DIR}/src/store/schema.sql)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${schema})
file(READ ${schema} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/store/schema_sql.h CONTENT
     "/* Made from src/store/schema.sql. */\nstatic const char SCHEMA[] = {@hex@0};\n" @ONLY)
target_include_directories(sv_store PRIVATE ${CMAKE_BINARY_DIR}/generated/store)
