# The report in a real browser; prints SKIP and exits 77 where there is no chromium or no python3.
add_executable(browser_make_report EXCLUDE_FROM_ALL ${CMAKE_CURRENT_SOURCE_DIR}/browser/make_report.c)
target_link_libraries(browser_make_report PRIVATE test_all)
add_dependencies(tests browser_make_report)
add_test(NAME browser/report
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/browser/check_report.sh $<TARGET_FILE:browser_make_report>
                 ${CMAKE_BINARY_DIR}/browser-test)
set_tests_properties(browser/report PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77)
# A study of 20 layers and 12 implementations: one file under 2 MB, which opens.
add_test(NAME browser/large
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/browser/check_large.sh $<TARGET_FILE:browser_make_report>
                 ${CMAKE_BINARY_DIR}/browser-large)
set_tests_properties(browser/large PROPERTIES TIMEOUT 1500 SKIP_RETURN_CODE 77 LABELS slow)
