# Helpers that every folder's CMakeLists.txt uses, so that flags and layout are said once.

add_library(diptych_flags INTERFACE)
target_compile_options(diptych_flags INTERFACE
  -Wall -Wextra -Wnon-virtual-dtor -Werror -fvisibility=hidden
  # GCC's plain -Wshadow also objects to constructor parameters named like the members they set, and
  # clang's to members named like something outside of their class.
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>)
target_include_directories(diptych_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(DIPTYCH_SANITIZE)
  target_compile_options(diptych_flags INTERFACE -fsanitize=${DIPTYCH_SANITIZE}
                                                 -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(diptych_flags INTERFACE -fsanitize=${DIPTYCH_SANITIZE})
  # Instrumented code takes ways that GCC then finds unset variables on; its manual says so.
  target_compile_options(diptych_flags INTERFACE
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-free-nonheap-object>")
endif()
if(DIPTYCH_FUZZ)
  target_compile_options(diptych_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# For code that runs once, or that waits for files and people, and for tests: half of the compiler's
# time would go into making it fast.
set(DIPTYCH_RARELY_RUN $<$<CONFIG:Release>:-O1>)

# Compiles sources of a target several at a time, which reads headers and makes templates once for all
# of them. What the names of their unnamed namespaces are is then one question for a folder. Sources
# that Highway compiles once for each instruction set include themselves, and stay alone.
function(diptych_compile_together target)
  if(NOT DIPTYCH_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  # GCC takes what is defined in a source for something that headers define.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  foreach(source ${ARGN})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      file(STRINGS ${source} includes_itself REGEX "hwy/foreach_target" LIMIT_COUNT 1)
      if(includes_itself)
        set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endif()
  endforeach()
endfunction()

# diptych_library(<folder> [RARELY_RUN] [ALONE] SOURCES a.cc b.cc [DEPENDS base mil ...] [LINK some::target ...])
# The library of src/<folder>; it may include the headers of the folders it depends on.
# ALONE: its sources are compiled one by one.
function(diptych_library name)
  cmake_parse_arguments(ARG "RARELY_RUN;ALONE" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(diptych_${name} STATIC ${ARG_SOURCES})
  if(ARG_RARELY_RUN)
    target_compile_options(diptych_${name} PRIVATE ${DIPTYCH_RARELY_RUN})
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND diptych_)
  if(NOT ARG_ALONE)
    diptych_compile_together(diptych_${name} ${ARG_SOURCES})
  endif()
  target_link_libraries(diptych_${name} PUBLIC diptych_flags ${ARG_DEPENDS} ${ARG_LINK})
endfunction()

# Seconds; instrumented code takes several times as long.
set(DIPTYCH_TEST_TIMEOUT 600)
if(DIPTYCH_SANITIZE)
  set(DIPTYCH_TEST_TIMEOUT 3600)
endif()

# diptych_test(<folder> [ALONE] SOURCES a_test.cc ... [DEPENDS pte ...])
# One GoogleTest executable for test/<folder>. ALONE: as for libraries.
function(diptych_test name)
  cmake_parse_arguments(ARG "ALONE" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND diptych_)
  if(NOT ARG_ALONE)
    diptych_compile_together(test_${name} ${ARG_SOURCES})
  endif()
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPENDS} diptych_testing GTest::gmock
                                             GTest::gtest_main ${ARG_LINK})
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                       PROPERTIES TIMEOUT ${DIPTYCH_TEST_TIMEOUT})
endfunction()
