# find_package(Prunepass CONFIG REQUIRED): pruned models as build products.
#
#   cmake -DPrunepass_DIR="$(python -m prunepass --cmake-dir)" ...
#
# Sets Prunepass_FOUND, Prunepass_VERSION and Prunepass_COMMAND (a list: the command with its first arguments),
# and defines prunepass_prune_model(), which PrunepassModel.cmake explains.

if(CMAKE_VERSION VERSION_LESS 3.20)
  set(Prunepass_FOUND FALSE)
  set(Prunepass_NOT_FOUND_MESSAGE "prunepass needs CMake 3.20, which knows DEPFILE with every generator")
  return()
endif()

# The command that belongs to this file comes first: <prefix>/lib/pythonX.Y/site-packages/prunepass/cmake, or
# <prefix>/Lib/site-packages/prunepass/cmake and <prefix>/Scripts on Windows.
if(NOT Prunepass_COMMAND)
  find_program(
    Prunepass_EXECUTABLE prunepass
    HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../../../bin" "${CMAKE_CURRENT_LIST_DIR}/../../../../Scripts"
    DOC "The command prunepass")
  set(Prunepass_COMMAND "${Prunepass_EXECUTABLE}")
endif()

execute_process(
  COMMAND ${Prunepass_COMMAND} --version
  OUTPUT_VARIABLE _prunepass_said ERROR_VARIABLE _prunepass_error RESULT_VARIABLE _prunepass_code
  OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT _prunepass_code EQUAL 0)
  set(Prunepass_FOUND FALSE)
  set(Prunepass_NOT_FOUND_MESSAGE
      "the command '${Prunepass_COMMAND}' does not run: ${_prunepass_code} ${_prunepass_error} (set "
      "Prunepass_EXECUTABLE to the prunepass of your Python environment, or Prunepass_COMMAND to a list such "
      "as /usr/bin/python3;-m;prunepass)")
  string(JOIN "" Prunepass_NOT_FOUND_MESSAGE ${Prunepass_NOT_FOUND_MESSAGE})
elseif(NOT _prunepass_said STREQUAL "prunepass ${Prunepass_VERSION}")
  set(Prunepass_FOUND FALSE)
  set(Prunepass_NOT_FOUND_MESSAGE
      "'${Prunepass_COMMAND}' is '${_prunepass_said}', but these files are of ${Prunepass_VERSION}: they belong "
      "to another Python environment (set Prunepass_EXECUTABLE or Prunepass_DIR)")
  string(JOIN "" Prunepass_NOT_FOUND_MESSAGE ${Prunepass_NOT_FOUND_MESSAGE})
else()
  include("${CMAKE_CURRENT_LIST_DIR}/PrunepassModel.cmake")
endif()
unset(_prunepass_said)
unset(_prunepass_error)
unset(_prunepass_code)
