# The version is that of the Python package that this file is part of. Before 1.0 a minor version may change
# what functions take, so that only the same one fits.
file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../__init__.py" _prunepass_line REGEX "^__version__ = ")
string(REGEX REPLACE "^__version__ = \"([0-9.]+).*$" "\\1" PACKAGE_VERSION "${_prunepass_line}")
unset(_prunepass_line)

set(PACKAGE_VERSION_EXACT FALSE)
set(PACKAGE_VERSION_COMPATIBLE FALSE)
if(PACKAGE_FIND_VERSION_RANGE)
  if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION_MIN
     AND (PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX
          OR (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE"
              AND PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION_MAX)))
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
elseif(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
elseif(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION)
  string(REGEX MATCH "^(0\\.[0-9]+|[1-9][0-9]*)" _prunepass_series "${PACKAGE_VERSION}")
  string(REGEX MATCH "^(0(\\.[0-9]+)?|[1-9][0-9]*)" _prunepass_wanted "${PACKAGE_FIND_VERSION}")
  if(_prunepass_series STREQUAL _prunepass_wanted)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
  unset(_prunepass_series)
  unset(_prunepass_wanted)
endif()
