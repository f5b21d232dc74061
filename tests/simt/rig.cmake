# Kernels as PTX text, for the tests of ptx and simt.
add_library(test_rig STATIC EXCLUDE_FROM_ALL simt/rig.c simt/round_trip.c simt/reference.c simt/reference_rows.c)
set_source_files_properties(simt/reference_rows.c PROPERTIES COMPILE_OPTIONS
                            "-fno-math-errno;-fno-trapping-math;-frounding-math")
target_link_libraries(test_rig PUBLIC test_all)
target_include_directories(test_rig PUBLIC simt)
foreach(name unit_simt unit_simt_hook unit_simt_mem unit_simt_special prop_reference prop_fuse prop_ptx_print oracle_ptx_native)
  if(TARGET ${name})
    target_link_libraries(${name} PRIVATE test_rig)
  endif()
endforeach()
