// Text in, text out: what the tests of passes share.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "mil/text.h"
#include "mil/verify.h"
#include "testing/shared_data.h"

namespace diptych::passes {

inline mil::Program parsed(std::string_view text) {
  auto program = mil::parse(text);
  EXPECT_TRUE(program.has_value()) << program.error().to_string();
  return program ? std::move(*program) : mil::Program{};
}

// A program or function as text; computed weights, which print as blobs named by their digest,
// print as `blob` alone.
template <class Printable>
std::string printed(const Printable& what) {
  constexpr std::string_view kOpen = "blob(\"", kClose = "\")";
  std::string text = mil::print(what);
  for (size_t at = 0; (at = text.find(kOpen, at)) != std::string::npos;) {
    at += kOpen.size() - 2;  // before the parenthesis
    text.erase(at, text.find(kClose, at) + kClose.size() - at);
  }
  return text;
}

// The program after a pass, verified.
template <class Run>
std::string after(mil::Program& program, Run run) {
  const Status status = run(program);
  EXPECT_TRUE(status.has_value()) << status.error().to_string();
  const Status verified = mil::verify(program);
  EXPECT_TRUE(verified.has_value()) << verified.error().to_string();
  return printed(program);
}

// "" for success.
inline std::string error_of(const Status& status) {
  return status ? std::string() : status.error().to_string();
}

// Two functions, "forward" and "prefill", that share the weights of the one given.
inline mil::Program twice(mil::Program program) {
  program.functions.push_back(mil::clone(*program.functions[0]));
  program.functions[0]->name = "forward";
  program.functions[1]->name = "prefill";
  return program;
}

}  // namespace diptych::passes
