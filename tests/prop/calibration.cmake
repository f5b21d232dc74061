set_tests_properties(prop/calibration PROPERTIES TIMEOUT 1200 LABELS slow)
