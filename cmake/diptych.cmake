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

# For code that runs once, or that waits for files and people: half of the compiler's time would go
# into making it fast.
set(DIPTYCH_RARELY_RUN $<$<CONFIG:Release>:-O1>)

# diptych_library(<folder> [RARELY_RUN] SOURCES a.cc b.cc [DEPENDS base mil ...] [LINK some::target ...])
# The library of src/<folder>; it may include the headers of the folders it depends on.
function(diptych_library name)
  cmake_parse_arguments(ARG "RARELY_RUN" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(diptych_${name} STATIC ${ARG_SOURCES})
  if(ARG_RARELY_RUN)
    target_compile_options(diptych_${name} PRIVATE ${DIPTYCH_RARELY_RUN})
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND diptych_)
  target_link_libraries(diptych_${name} PUBLIC diptych_flags ${ARG_DEPENDS} ${ARG_LINK})
endfunction()

# Seconds; instrumented code takes several times as long.
set(DIPTYCH_TEST_TIMEOUT 600)
if(DIPTYCH_SANITIZE)
  set(DIPTYCH_TEST_TIMEOUT 3600)
endif()

# diptych_test(<folder> SOURCES a_test.cc ... [DEPENDS pte ...])
# One GoogleTest executable for test/<folder>.
function(diptych_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  list(TRANSFORM ARG_DEPENDS PREPEND diptych_)
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPENDS} diptych_testing GTest::gmock
                                             GTest::gtest_main ${ARG_LINK})
  gtest_discover_tests(test_${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
                       PROPERTIES TIMEOUT ${DIPTYCH_TEST_TIMEOUT})
endfunction()
