# Embeds the report page's parts, Chart.js among them, as character arrays.
find_file(CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js REQUIRED NO_DEFAULT_PATH)
set(page ${CMAKE_CURRENT_SOURCE_DIR}/src/report/page)
set(page_parts page_html=${page}/page.html page_css=${page}/page.css page_js=${page}/page.js
    page_chart=${CHART_JS})
list(TRANSFORM page_parts REPLACE "^[^=]*=" "" OUTPUT_VARIABLE page_files)
set(page_c ${CMAKE_CURRENT_BINARY_DIR}/report_page.c)
add_custom_command(
  OUTPUT ${page_c}
  COMMAND ${CMAKE_COMMAND} "-DPARTS=${page_parts}" -DOUT=${page_c} -P ${page}/embed.cmake
  DEPENDS ${page_files} ${page}/embed.cmake
  VERBATIM COMMENT "Embedding the report page")
target_sources(sv_report PRIVATE ${page_c})
# The versions that a report names.
file(STRINGS ${DNNL_VERSION_H} dnnl_version REGEX "DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
list(TRANSFORM dnnl_version REPLACE "[^0-9]" "")
list(JOIN dnnl_version "." dnnl_version)
execute_process(COMMAND ${OPENCL_CLANG} --version OUTPUT_VARIABLE kernel_compiler)
string(REGEX MATCH "clang version [0-9.]+" kernel_compiler "${kernel_compiler}")
string(REPLACE " version" "" kernel_compiler "${kernel_compiler}")
target_compile_definitions(sv_report PRIVATE SIEVERT_VERSION="${PROJECT_VERSION}"
  SIEVERT_COMPILER="${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}"
  SIEVERT_KERNEL_COMPILER="${kernel_compiler}" SIEVERT_ONEDNN="${dnnl_version}")
