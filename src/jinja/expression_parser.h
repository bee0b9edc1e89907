// The expressions of a template.
#pragma once

#include "jinja/ast.h"
#include "jinja/token_stream.h"

namespace diptych::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // One expression; without `conditional` an "if" behind it is left alone.
  Result<ExpressionPtr> expression(bool conditional = true);
  // The same, or several separated by commas: a tuple.
  Result<ExpressionPtr> tuple(bool conditional = true);
  // "name(arguments) | name …", which a block goes through: the first filter's value is missing.
  Result<ExpressionPtr> filter_chain();

  Result<Target> target(bool with_attribute);
  Result<std::vector<Parameter>> parameters();  // of a macro, in parentheses

  // Set when a name is read that only macros have.
  bool saw_varargs = false, saw_kwargs = false, saw_caller = false;

 private:
  Result<ExpressionPtr> disjunction();
  Result<ExpressionPtr> conjunction();
  Result<ExpressionPtr> negation();
  Result<ExpressionPtr> comparison();
  Result<ExpressionPtr> sum();
  Result<ExpressionPtr> concatenation();
  Result<ExpressionPtr> product();
  Result<ExpressionPtr> power();
  Result<ExpressionPtr> unary(bool with_filters);
  Result<ExpressionPtr> primary();
  Result<ExpressionPtr> string();
  Result<ExpressionPtr> bracketed();
  Result<ExpressionPtr> dict();
  Result<ExpressionPtr> postfix(ExpressionPtr value);
  Result<ExpressionPtr> filters_and_tests(ExpressionPtr value);
  Result<ExpressionPtr> filter(ExpressionPtr value);
  Result<ExpressionPtr> test(ExpressionPtr value);
  Result<ExpressionPtr> subscript(ExpressionPtr value);
  Result<ExpressionPtr> slice_or_index();
  Result<ExpressionPtr> call(ExpressionPtr function);
  Result<Arguments> arguments();
  Result<std::string> dotted_name();

  // A node over children (null ones allowed), refused when it nests too deeply.
  Result<ExpressionPtr> make(Expression::Kind kind, Position at,
                             std::vector<ExpressionPtr> children);
  Result<ExpressionPtr> binary(Position at, std::string op, ExpressionPtr a, ExpressionPtr b);
  Status measure(Expression& node) const;
  Status enter(Position at);
  void leave() { --nesting_; }

  TokenStream& tokens_;
  int nesting_ = 0;
};

}  // namespace diptych::jinja
