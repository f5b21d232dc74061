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
target_compile_definitions(sv_report PRIVATE SIEVERT_VERSION="${PROJECT_VERSION}")
