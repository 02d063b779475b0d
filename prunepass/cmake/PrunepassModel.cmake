# prunepass_prune_model(
#   TARGET name MODEL model OUTPUT out.onnx
#   [PLAN plan.json]                                   apply this plan; nothing is searched
#   [CONFIG c.toml] [BUDGET macs=0.5] [SCORE s]        or search: a plan is written beside OUTPUT
#   [ALIGN n | TARGET_ENGINE t] [PIPELINE text]
#   [POLICY p] [DRIVER d] [REPAIR r] [RATIOS pattern=fraction...]
#   [DATA file|folder|code] [EVALUATE code]            code is package.module:function or file.py:function
#   [TUNE code] [LOSS code]
#   [KEEP pattern...] [FREE output...] [SET key=value...]
#   [PLAN_OUT p.json] [TENSORS_OUT t.safetensors] [REPORT r.html]
#   [SHAPE shape...]                                   of example inputs
#   [CHECK] [BACKEND b] [SARIF s.json]                 fail the build where a promise does not hold
#   [EXTERNAL_DATA] [ALL] [DEPENDS file...])
#
# The target `name` makes OUTPUT, and with CHECK holds it against MODEL. Its properties PRUNEPASS_OUTPUT and
# PRUNEPASS_PLAN are the absolute paths, and PRUNEPASS_TENSORS that of the tensors of a plan that was searched: they
# lie beside it, in TENSORS_OUT or a file named after it, which is empty where there are none. MODEL is a file, package.module:factory or file.py:factory; relative
# inputs lie in the source folder, or in the binary folder where they do not exist in the source folder; relative
# outputs lie in the binary folder. EXTERNAL_DATA says that weights lie in a file of their own, OUTPUT.data. BACKEND implies
# CHECK: MODEL and OUTPUT are timed against each other.
#
# An output that would not change is left as it is. Ninja then stops: nothing that depends on it is made again.

# Policies are those in force where a function is defined: CMP0116 lets Ninja read depfiles with paths that are
# relative to any folder.
cmake_policy(PUSH)
cmake_policy(VERSION 3.20)

function(prunepass_prune_model)
  set(searching
      CONFIG BUDGET SCORE ALIGN TARGET_ENGINE PIPELINE POLICY DRIVER REPAIR DATA EVALUATE TUNE LOSS
      PLAN_OUT TENSORS_OUT REPORT)
  set(several KEEP FREE SET RATIOS)
  cmake_parse_arguments(
    PARSE_ARGV 0 P "CHECK;EXTERNAL_DATA;ALL"
    "TARGET;MODEL;OUTPUT;PLAN;BACKEND;SARIF;${searching}" "${several};SHAPE;DEPENDS")
  _prunepass_refuse("${P_UNPARSED_ARGUMENTS}" "does not know")
  _prunepass_refuse("${P_KEYWORDS_MISSING_VALUES}" "misses the value of")
  foreach(needed TARGET MODEL OUTPUT)
    if(NOT P_${needed})
      message(FATAL_ERROR "prunepass_prune_model needs ${needed}")
    endif()
  endforeach()

  cmake_path(ABSOLUTE_PATH P_OUTPUT BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" NORMALIZE OUTPUT_VARIABLE out)
  _prunepass_input("${P_MODEL}" model needs)
  list(APPEND needs ${P_DEPENDS})
  set(made "")
  set(tensors "")
  set(shapes "")
  foreach(shape IN LISTS P_SHAPE)
    list(APPEND shapes --shape "${shape}")
  endforeach()

  if(P_PLAN)
    foreach(option IN LISTS searching several)
      if(P_${option})
        message(FATAL_ERROR "prunepass_prune_model: PLAN says what goes; ${option} is for a search")
      endif()
    endforeach()
    _prunepass_input("${P_PLAN}" plan needs)
    set(what "Applying ${P_PLAN} to ${P_MODEL}")
    set(command apply "${plan}" "${model}")
  else()
    set(what "Pruning ${P_MODEL}")
    _prunepass_search()
  endif()
  if(P_EXTERNAL_DATA)
    list(APPEND made "${out}.data")
  endif()

  # make has no restat: what is as it was must become newer than what it was made from, or is made every time.
  set(touch "")
  if(NOT CMAKE_GENERATOR MATCHES "Ninja")
    set(touch COMMAND "${CMAKE_COMMAND}" -E touch "${out}")
  endif()
  add_custom_command(
    OUTPUT "${out}"
    BYPRODUCTS ${made}
    COMMAND ${Prunepass_COMMAND} ${command} ${shapes} -o "${out}" --depfile "${out}.d" -q
    ${touch}
    DEPENDS ${needs}
    DEPFILE "${out}.d"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    COMMENT "${what}"
    VERBATIM)

  set(products "${out}")
  if(P_CHECK OR P_BACKEND)
    _prunepass_gate()
  endif()
  set(all "")
  if(P_ALL)
    set(all ALL)
  endif()
  add_custom_target("${P_TARGET}" ${all} DEPENDS ${products})
  set_target_properties("${P_TARGET}" PROPERTIES PRUNEPASS_OUTPUT "${out}" PRUNEPASS_PLAN "${plan}"
                                               PRUNEPASS_TENSORS "${tensors}")
endfunction()

# The arguments of `prunepass prune`, into the caller's variables.
macro(_prunepass_search)
  if(NOT P_PLAN_OUT)
    set(P_PLAN_OUT "${P_OUTPUT}.plan.json")
  endif()
  set(plan "${P_PLAN_OUT}")
  cmake_path(ABSOLUTE_PATH plan BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" NORMALIZE)
  if(NOT P_TENSORS_OUT)
    cmake_path(GET plan STEM LAST_ONLY P_TENSORS_OUT)
    string(REGEX REPLACE "[^A-Za-z0-9_-]" "_" P_TENSORS_OUT "${P_TENSORS_OUT}")
    string(APPEND P_TENSORS_OUT ".safetensors")
  endif()
  cmake_path(GET plan PARENT_PATH tensors)
  cmake_path(ABSOLUTE_PATH P_TENSORS_OUT BASE_DIRECTORY "${tensors}" NORMALIZE OUTPUT_VARIABLE tensors)
  set(command prune "${model}" --plan-out "${plan}" --tensors-out "${tensors}")
  list(APPEND made "${plan}" "${tensors}")
  if(P_CONFIG)
    _prunepass_input("${P_CONFIG}" config needs)
    list(APPEND command --config "${config}")
  endif()
  foreach(key DATA EVALUATE TUNE LOSS)
    if(P_${key})
      _prunepass_input("${P_${key}}" P_${key} needs)
    endif()
  endforeach()
  if(P_REPORT)
    cmake_path(ABSOLUTE_PATH P_REPORT BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" NORMALIZE)
    list(APPEND command --report "${P_REPORT}")
    list(APPEND made "${P_REPORT}")
  endif()
  foreach(
    pair
    BUDGET=--budget SCORE=--score ALIGN=--align TARGET_ENGINE=--target PIPELINE=--pipeline POLICY=--policy
    DRIVER=--driver REPAIR=--repair RATIOS=--ratio DATA=--data EVALUATE=--evaluate TUNE=--tune
    LOSS=--loss KEEP=--keep FREE=--free SET=--set)
    string(REPLACE "=" ";" pair "${pair}")
    list(GET pair 0 key)
    list(GET pair 1 option)
    foreach(value IN LISTS P_${key})
      list(APPEND command "${option}" "${value}")
    endforeach()
  endforeach()
endmacro()

# The gate has a stamp of its own: had it one with OUTPUT, a failed gate would pass in the next make. It does not
# depend on MODEL but through OUTPUT, so that it rests where a new date of MODEL changed nothing.
macro(_prunepass_gate)
  set(gate "")
  if(P_BACKEND)
    list(APPEND gate --backend "${P_BACKEND}")
  endif()
  if(P_SARIF)
    cmake_path(ABSOLUTE_PATH P_SARIF BASE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}" NORMALIZE)
    list(APPEND gate --sarif "${P_SARIF}")
  endif()
  set(judged "${out}")
  if(P_PLAN)
    list(APPEND judged "${plan}")
  endif()
  add_custom_command(
    OUTPUT "${out}.checked"
    BYPRODUCTS ${P_SARIF}
    COMMAND ${Prunepass_COMMAND} check "${out}" --against "${model}" --plan "${plan}" ${gate} ${shapes} -q
    COMMAND "${CMAKE_COMMAND}" -E touch "${out}.checked"
    DEPENDS ${judged}
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    COMMENT "Checking ${P_OUTPUT}"
    VERBATIM)
  list(APPEND products "${out}.checked")
endmacro()

# The absolute path of an input, also appended to a list of dependencies; a factory of a package stays as it is, one
# of a file is the file and a name in it.
function(_prunepass_input name path depends)
  set(factory "")
  if(name MATCHES "^(.+[.]py)(:[A-Za-z_][A-Za-z0-9_.]*)$")
    set(name "${CMAKE_MATCH_1}")
    set(factory "${CMAKE_MATCH_2}")
  endif()
  if(IS_ABSOLUTE "${name}" OR NOT name MATCHES "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$")
    set(base "${CMAKE_CURRENT_SOURCE_DIR}")
    if(NOT EXISTS "${base}/${name}")
      set(base "${CMAKE_CURRENT_BINARY_DIR}")
    endif()
    cmake_path(ABSOLUTE_PATH name BASE_DIRECTORY "${base}" NORMALIZE)
    set(${depends} ${${depends}} "${name}" PARENT_SCOPE)
  endif()
  set(${path} "${name}${factory}" PARENT_SCOPE)
endfunction()

function(_prunepass_refuse words what)
  if(words)
    string(REPLACE ";" " " words "${words}")
    message(FATAL_ERROR "prunepass_prune_model ${what} ${words}")
  endif()
endfunction()

cmake_policy(POP)
