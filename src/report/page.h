/* The parts of the HTML page, embedded by part.cmake; each ends with a zero byte. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

extern const char page_html[], page_css[], page_js[], page_chart[];

#endif
