#include "cli/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>

#include "base/in_quotes.h"

namespace diptych::cli {

namespace {

// The arguments as CLI11 wants them: dashes in names are underscores ("--max-context-len" means
// "--max_context_len"), and "-E=8,0" and "--name=" are two arguments each, since CLI11 takes "=8,0"
// for the value of the one and the next argument for that of the other.
std::vector<std::string> normalise(int argc, char** argv) {
  std::vector<std::string> result;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const bool is_long = argument.rfind("--", 0) == 0;
    const bool is_short = !is_long && argument.size() > 2 && argument[0] == '-';
    const size_t equals = argument.find('=');
    const size_t end = std::min(equals, argument.size());
    if (is_long) std::replace(argument.begin() + 2, argument.begin() + end, '-', '_');
    if ((is_long && end + 1 == argument.size()) || (is_short && equals == 2)) {
      result.push_back(argument.substr(0, end));
      result.push_back(argument.substr(end + 1));
    } else {
      result.push_back(std::move(argument));
    }
  }
  return result;
}

// Every option that is a number takes one and nothing else, whatever the library would make of
// "0x10", "1e9", "-1" or twenty nines.
template <class T>
std::string integer_problem(const std::string& text) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec == std::errc() && parsed.ptr == end) return {};
  const bool is_digits =
      text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0) == text.npos;
  if (!is_digits) return "expected a whole number, found " + in_quotes(text);
  return fmt::format("expected a whole number from {} to {}, found {}",
                     std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), in_quotes(text));
}

std::string number_problem(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  const bool good = parsed.ec == std::errc() && parsed.ptr == end && std::isfinite(value);
  return good ? std::string() : "expected a number, found " + in_quotes(text);
}

void check_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (type.starts_with("INT")) option->check(CLI::Validator(integer_problem<int64_t>, ""));
    if (type.starts_with("UINT")) option->check(CLI::Validator(integer_problem<uint64_t>, ""));
    if (type.starts_with("FLOAT")) option->check(CLI::Validator(number_problem, ""));
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    check_numbers(*command);
  }
}

Check check_of(const CLI::Validator& validator) {
  return {[validator](const std::string& text) { return validator(text); },
          validator.get_description()};
}

}  // namespace

// Unlike CLI::Range, refuses "nan" and prints short limits.
Check number_between(double low, double high) {
  const std::string range = fmt::format("{} to {}", low, high);
  return {[low, high, range](const std::string& text) {
            double value = 0;
            const bool fits =
                CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
            return fits ? std::string() : fmt::format("expected {}, found {}", range, text);
          },
          range};
}

Check integer_between(int64_t low, int64_t high) { return check_of(CLI::Range(low, high)); }

Check one_of(std::vector<std::string> values) { return check_of(CLI::IsMember(std::move(values))); }

Option* Option::required() {
  option_->required();
  return this;
}

Option* Option::check(Check check) {
  option_->check(CLI::Validator(
      [problem = std::move(check.problem)](std::string& text) { return problem(text); },
      std::move(check.description)));
  return this;
}

Option* Option::show_default() {
  option_->capture_default_str();
  return this;
}

Option* Option::needs(const Option* other) {
  option_->needs(other->option_);
  return this;
}

Option* Option::excludes(const Option* other) {
  option_->excludes(other->option_);
  return this;
}

Option* Option::excludes(const std::string& other) {
  option_->excludes(other);
  return this;
}

Option* Option::group(const std::string& heading) {
  option_->group(heading);
  return this;
}

Option* Option::split_at(char delimiter) {
  option_->delimiter(delimiter);
  return this;
}

Option* Option::one_value_each() {
  option_->allow_extra_args(false);
  return this;
}

size_t Option::count() const { return option_->count(); }

Parser::Parser(const std::string& name, const std::string& description, const std::string& version)
    : program_(std::make_unique<CLI::App>(description, name)), app_(program_.get()) {
  app_->set_version_flag("--version", name + " " + version);
  app_->fallthrough(false);
}

Parser::Parser(CLI::App* command) : app_(command) {}

Parser::~Parser() = default;

Option* Parser::added(CLI::Option* option) { return &options_.emplace_back(option); }

template <class T>
Option* Parser::add_option(const std::string& names, T& variable, const std::string& help) {
  return added(app_->add_option(names, variable, help));
}

#define DIPTYCH_OPTION_OF(...) \
  template Option* Parser::add_option(const std::string&, __VA_ARGS__&, const std::string&);
DIPTYCH_OPTION_OF(std::string)
DIPTYCH_OPTION_OF(int)
DIPTYCH_OPTION_OF(int64_t)
DIPTYCH_OPTION_OF(uint64_t)
DIPTYCH_OPTION_OF(double)
DIPTYCH_OPTION_OF(std::optional<int64_t>)
DIPTYCH_OPTION_OF(std::optional<uint64_t>)
DIPTYCH_OPTION_OF(std::optional<double>)
DIPTYCH_OPTION_OF(std::vector<std::string>)
DIPTYCH_OPTION_OF(std::vector<int>)
DIPTYCH_OPTION_OF(std::vector<int64_t>)
#undef DIPTYCH_OPTION_OF

Option* Parser::add_flag(const std::string& names, bool& variable, const std::string& help) {
  return added(app_->add_flag(names, variable, help));
}

Parser* Parser::add_command(const std::string& name, const std::string& summary) {
  app_->require_subcommand(1);
  commands_.push_back(std::unique_ptr<Parser>(new Parser(app_->add_subcommand(name, summary))));
  return commands_.back().get();
}

void Parser::set_examples(const std::string& examples) { app_->footer("Examples:\n" + examples); }

bool Parser::parsed() const { return app_->parsed(); }

Result<std::string> Parser::parse(int argc, char** argv) {
  check_numbers(*app_);
  std::vector<std::string> arguments = normalise(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app_->parse(std::move(arguments));
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream out;
    app_->exit(success, out, out);
    return std::move(out).str();
  } catch (const CLI::Error& error) {
    std::string command = app_->get_name();
    for (const CLI::App* given : app_->get_subcommands()) command += " " + given->get_name();
    return tl::unexpected(Error{ErrorCode::InvalidArgument, command, error.what(), {}});
  }
  return std::string();
}

}  // namespace diptych::cli
