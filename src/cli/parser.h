// What the subcommands see of the command line's parser. The library behind it is CLI11, which
// parser.cc alone includes: it takes seconds to compile.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace diptych::cli {

// A condition on an option's value: `problem` says what is wrong with a text, or gives nothing;
// `description` stands in --help.
struct Check {
  std::function<std::string(const std::string& text)> problem;
  std::string description;
};
Check number_between(double low, double high);
Check integer_between(int64_t low, int64_t high);
Check one_of(std::vector<std::string> values);

// An option, flag or positional argument of a parser, which owns it.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option* required();
  Option* check(Check check);          // of each value
  Option* show_default();              // the variable's present value stands in --help
  Option* needs(const Option* other);  // not without the other
  Option* excludes(const Option* other);
  Option* excludes(const std::string& other);  // by its name; it was added before
  Option* group(const std::string& heading);   // where it stands in --help
  Option* split_at(char delimiter);            // one argument may hold several values
  Option* one_value_each();  // of a list: each value has the option's name before it

  size_t count() const;  // how often it was given; after parsing

 private:
  CLI::Option* option_;
};

// The options of the program or of one of its commands. Variables must outlive the parser; they
// hold the defaults and are set when it parses. Options are declared with underscores, as
// upstream's are; users may write dashes instead. Numbers are decimal and finite, and nothing may
// follow them.
class Parser {
 public:
  Parser(const std::string& name, const std::string& description, const std::string& version);
  ~Parser();

  // `names` are "-o,--output", or "model" for a positional argument. T is std::string, int,
  // int64_t, uint64_t, double, std::optional of a number, or std::vector of texts or numbers.
  template <class T>
  Option* add_option(const std::string& names, T& variable, const std::string& help);
  Option* add_flag(const std::string& names, bool& variable, const std::string& help);

  // One command of those added must be given.
  Parser* add_command(const std::string& name, const std::string& summary);
  void set_examples(const std::string& examples);  // below the options in --help
  bool parsed() const;                             // whether the command was given

  // Sets the variables. On success returns a text to print in place of running anything, for
  // --help and --version, else nothing. An error's context is the command as far as it was
  // understood ("diptych run").
  Result<std::string> parse(int argc, char** argv);

 private:
  explicit Parser(CLI::App* command);
  Option* added(CLI::Option* option);

  std::unique_ptr<CLI::App> program_;  // null in a command's parser
  CLI::App* app_;
  std::deque<Option> options_;
  std::vector<std::unique_ptr<Parser>> commands_;
};

}  // namespace diptych::cli
