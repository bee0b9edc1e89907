#include "jinja/expression_parser.h"

#include <algorithm>
#include <array>

#include "jinja/builtins.h"

namespace diptych::jinja {

namespace {

// A tree is walked by recursion, in several calls per level.
constexpr int kMaxNesting = 60;  // brackets within brackets
constexpr int kMostLinks = 400;  // links of a chain such as a + b + c or a.b.c

using Node = Expression::Kind;

std::vector<ExpressionPtr> list_of(ExpressionPtr a, ExpressionPtr b = nullptr) {
  std::vector<ExpressionPtr> list;
  list.push_back(std::move(a));
  if (b) list.push_back(std::move(b));
  return list;
}

}  // namespace

Status ExpressionParser::enter(Position at) {
  if (++nesting_ <= kMaxNesting) return {};
  return unsupported("{}: expressions nest deeper than {} levels", to_string(at), kMaxNesting);
}

Status ExpressionParser::measure(Expression& node) const {
  const auto add = [&](const ExpressionPtr& child) {
    if (child) node.depth = std::max(node.depth, child->depth + 1);
  };
  for (const ExpressionPtr& child : node.children) add(child);
  for (const ExpressionPtr& child : node.arguments.positional) add(child);
  for (const auto& [name, child] : node.arguments.named) add(child);
  add(node.arguments.star);
  add(node.arguments.double_star);
  if (node.depth <= kMostLinks) return {};
  return unsupported("{}: an expression of more than {} links", to_string(node.at), kMostLinks);
}

Result<ExpressionPtr> ExpressionParser::make(Node kind, Position at,
                                             std::vector<ExpressionPtr> children) {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->at = at;
  node->children = std::move(children);
  TRY(measure(*node));
  return node;
}

Result<ExpressionPtr> ExpressionParser::binary(Position at, std::string op, ExpressionPtr a,
                                               ExpressionPtr b) {
  auto node = TRY(make(Node::Binary, at, list_of(std::move(a), std::move(b))));
  node->text = std::move(op);
  return node;
}

Result<ExpressionPtr> ExpressionParser::expression(bool conditional) {
  TRY(enter(tokens_.at()));
  auto value = TRY(disjunction());
  // "a if b else c if d else e" is a chain to the right; links are read in a loop and joined after.
  std::vector<std::pair<Position, std::vector<ExpressionPtr>>> links;  // value, condition
  ExpressionPtr last = std::move(value);
  bool has_else = true;
  while (conditional && has_else && tokens_.is_name("if")) {
    const Position at = tokens_.take().at;
    auto condition = TRY(disjunction());
    links.emplace_back(at, list_of(std::move(last), std::move(condition)));
    has_else = tokens_.skip_name("else");
    if (has_else) last = TRY(disjunction());
  }
  while (!links.empty()) {
    auto& [at, children] = links.back();
    children.push_back(std::move(last));  // null when there is no else
    last = TRY(make(Node::Conditional, at, std::move(children)));
    links.pop_back();
  }
  leave();
  return last;
}

Result<ExpressionPtr> ExpressionParser::tuple(bool conditional) {
  const Position at = tokens_.at();
  auto first = TRY(expression(conditional));
  if (!tokens_.is_operator(",")) return first;
  std::vector<ExpressionPtr> items = list_of(std::move(first));
  while (tokens_.skip_operator(",")) {
    if (tokens_.is(TokenKind::VariableEnd) || tokens_.is(TokenKind::BlockEnd) ||
        tokens_.is_operator(")")) {
      break;
    }
    items.push_back(TRY(expression(conditional)));
  }
  return make(Node::Tuple, at, std::move(items));
}

Result<ExpressionPtr> ExpressionParser::disjunction() {
  auto left = TRY(conjunction());
  while (tokens_.is_name("or")) {
    const Position at = tokens_.take().at;
    auto right = TRY(conjunction());
    left = TRY(make(Node::Or, at, list_of(std::move(left), std::move(right))));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::conjunction() {
  auto left = TRY(negation());
  while (tokens_.is_name("and")) {
    const Position at = tokens_.take().at;
    auto right = TRY(negation());
    left = TRY(make(Node::And, at, list_of(std::move(left), std::move(right))));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::negation() {
  if (!tokens_.is_name("not")) return comparison();
  const Position at = tokens_.take().at;
  TRY(enter(at));
  auto value = TRY(negation());
  leave();
  return make(Node::Not, at, list_of(std::move(value)));
}

Result<ExpressionPtr> ExpressionParser::comparison() {
  constexpr std::array<std::string_view, 6> kOperators = {"==", "!=", "<", "<=", ">", ">="};
  const Position at = tokens_.at();
  std::vector<ExpressionPtr> operands = list_of(TRY(sum()));
  std::vector<std::string> operators;
  while (true) {
    const Token& token = tokens_.current();
    if (token.kind == TokenKind::Operator &&
        std::find(kOperators.begin(), kOperators.end(), token.text) != kOperators.end()) {
      operators.push_back(tokens_.take().text);
    } else if (tokens_.skip_name("in")) {
      operators.emplace_back("in");
    } else if (tokens_.is_name("not") && tokens_.next_is_name("in")) {
      tokens_.take();
      tokens_.take();
      operators.emplace_back("not in");
    } else {
      break;
    }
    operands.push_back(TRY(sum()));
  }
  if (operators.empty()) return std::move(operands[0]);
  auto node = TRY(make(Node::Compare, at, std::move(operands)));
  node->operators = std::move(operators);
  return node;
}

Result<ExpressionPtr> ExpressionParser::sum() {
  auto left = TRY(concatenation());
  while (tokens_.is_operator("+") || tokens_.is_operator("-")) {
    const Token op = tokens_.take();
    auto right = TRY(concatenation());
    left = TRY(binary(op.at, op.text, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::concatenation() {
  const Position at = tokens_.at();
  auto first = TRY(product());
  if (!tokens_.is_operator("~")) return first;
  std::vector<ExpressionPtr> parts = list_of(std::move(first));
  while (tokens_.skip_operator("~")) parts.push_back(TRY(product()));
  return make(Node::Concat, at, std::move(parts));
}

Result<ExpressionPtr> ExpressionParser::product() {
  auto left = TRY(power());
  while (tokens_.is_operator("*") || tokens_.is_operator("/") || tokens_.is_operator("//") ||
         tokens_.is_operator("%")) {
    const Token op = tokens_.take();
    auto right = TRY(power());
    left = TRY(binary(op.at, op.text, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::power() {
  auto left = TRY(unary(true));
  while (tokens_.is_operator("**")) {
    const Token op = tokens_.take();
    auto right = TRY(unary(true));
    left = TRY(binary(op.at, op.text, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::unary(bool with_filters) {
  ExpressionPtr value;
  if (tokens_.is_operator("-") || tokens_.is_operator("+")) {
    const Token sign = tokens_.take();
    TRY(enter(sign.at));
    auto operand = TRY(unary(false));
    leave();
    value = TRY(make(Node::Sign, sign.at, list_of(std::move(operand))));
    value->text = sign.text;
  } else {
    value = TRY(primary());
  }
  value = TRY(postfix(std::move(value)));
  return with_filters ? filters_and_tests(std::move(value)) : std::move(value);
}

Result<ExpressionPtr> ExpressionParser::primary() {
  const Token& token = tokens_.current();
  auto node = std::make_unique<Expression>();
  node->at = token.at;
  switch (token.kind) {
    case TokenKind::Name: {
      const std::string& name = tokens_.take().text;
      if (name == "true" || name == "True") {
        node->value = Value::of(true);
      } else if (name == "false" || name == "False") {
        node->value = Value::of(false);
      } else if (name == "none" || name == "None") {
        node->value = Value::none();
      } else {
        node->kind = Node::Name;
        node->text = name;
        saw_varargs = saw_varargs || name == "varargs";
        saw_kwargs = saw_kwargs || name == "kwargs";
        saw_caller = saw_caller || name == "caller";
      }
      return node;
    }
    case TokenKind::String:
      return string();
    case TokenKind::Integer:
      node->value = Value::of(tokens_.take().integer);
      return node;
    case TokenKind::Float:
      node->value = Value::of(tokens_.take().number);
      return node;
    default:
      if (tokens_.is_operator("(") || tokens_.is_operator("[")) return bracketed();
      if (tokens_.is_operator("{")) return dict();
      return tokens_.unexpected("an expression");
  }
}

// Strings beside each other are one.
Result<ExpressionPtr> ExpressionParser::string() {
  auto node = std::make_unique<Expression>();
  node->at = tokens_.at();
  while (tokens_.is(TokenKind::String)) node->text += tokens_.take().text;
  node->value = Value::of(&node->text);
  return node;
}

// A list, or a tuple or an expression in parentheses.
Result<ExpressionPtr> ExpressionParser::bracketed() {
  const Token open = tokens_.take();
  const bool is_list = open.text == "[";
  const std::string_view close = is_list ? "]" : ")";
  std::vector<ExpressionPtr> items;
  bool comma = false;
  while (!tokens_.is_operator(close)) {
    if (!items.empty()) {
      TRY(tokens_.expect_operator(","));
      comma = true;
      if (tokens_.is_operator(close)) break;
    }
    items.push_back(TRY(expression()));
  }
  tokens_.take();
  if (!is_list && !comma && items.size() == 1) return std::move(items[0]);
  return make(is_list ? Node::List : Node::Tuple, open.at, std::move(items));
}

Result<ExpressionPtr> ExpressionParser::dict() {
  const Position at = tokens_.take().at;
  std::vector<ExpressionPtr> entries;
  while (!tokens_.is_operator("}")) {
    if (!entries.empty()) {
      TRY(tokens_.expect_operator(","));
      if (tokens_.is_operator("}")) break;
    }
    entries.push_back(TRY(expression()));
    TRY(tokens_.expect_operator(":"));
    entries.push_back(TRY(expression()));
  }
  tokens_.take();
  return make(Node::Dict, at, std::move(entries));
}

Result<ExpressionPtr> ExpressionParser::postfix(ExpressionPtr value) {
  while (true) {
    if (tokens_.is_operator(".") || tokens_.is_operator("[")) {
      value = TRY(subscript(std::move(value)));
    } else if (tokens_.is_operator("(")) {
      value = TRY(call(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::subscript(ExpressionPtr value) {
  const Token token = tokens_.take();
  if (token.text == ".") {
    if (tokens_.is(TokenKind::Integer)) {
      auto index = TRY(primary());
      return make(Node::Item, token.at, list_of(std::move(value), std::move(index)));
    }
    std::string name = TRY(tokens_.expect_any_name());
    auto node = TRY(make(Node::Attribute, token.at, list_of(std::move(value))));
    node->text = std::move(name);
    return node;
  }
  auto index = TRY(slice_or_index());
  if (tokens_.is_operator(",")) {
    return unsupported("{}: several indices in brackets", to_string(tokens_.at()));
  }
  TRY(tokens_.expect_operator("]"));
  return make(Node::Item, token.at, list_of(std::move(value), std::move(index)));
}

Result<ExpressionPtr> ExpressionParser::slice_or_index() {
  const Position at = tokens_.at();
  const auto ends = [&] { return tokens_.is_operator("]") || tokens_.is_operator(":"); };
  std::vector<ExpressionPtr> bounds(3);
  if (!tokens_.is_operator(":")) {
    bounds[0] = TRY(expression());
    if (!tokens_.is_operator(":")) return std::move(bounds[0]);
  }
  tokens_.take();
  if (!ends()) bounds[1] = TRY(expression());
  if (tokens_.skip_operator(":") && !ends()) bounds[2] = TRY(expression());
  return make(Node::Slice, at, std::move(bounds));
}

Result<ExpressionPtr> ExpressionParser::call(ExpressionPtr function) {
  const Position at = function->at;
  Arguments given = TRY(arguments());
  auto node = TRY(make(Node::Call, at, list_of(std::move(function))));
  node->arguments = std::move(given);
  TRY(measure(*node));
  return node;
}

Result<Arguments> ExpressionParser::arguments() {
  const Position at = tokens_.at();
  TRY(tokens_.expect_operator("("));
  Arguments result;
  bool first = true;
  const auto wrong = [&] { return invalid_data("{}: arguments in a wrong order", to_string(at)); };
  while (!tokens_.is_operator(")")) {
    if (!first) {
      TRY(tokens_.expect_operator(","));
      if (tokens_.is_operator(")")) break;
    }
    first = false;
    if (tokens_.skip_operator("*")) {
      if (result.star || result.double_star) return wrong();
      result.star = TRY(expression());
    } else if (tokens_.skip_operator("**")) {
      if (result.double_star) return wrong();
      result.double_star = TRY(expression());
    } else if (tokens_.is(TokenKind::Name) && tokens_.next_is_operator("=")) {
      if (result.double_star) return wrong();
      std::string name = tokens_.take().text;
      tokens_.take();
      auto value = TRY(expression());
      result.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (result.star || result.double_star || !result.named.empty()) return wrong();
      result.positional.push_back(TRY(expression()));
    }
  }
  tokens_.take();
  return result;
}

Result<ExpressionPtr> ExpressionParser::filters_and_tests(ExpressionPtr value) {
  while (true) {
    if (tokens_.skip_operator("|")) {
      value = TRY(filter(std::move(value)));
    } else if (tokens_.is_name("is")) {
      value = TRY(test(std::move(value)));
    } else if (tokens_.is_operator("(")) {
      value = TRY(call(std::move(value)));
    } else {
      return value;
    }
  }
}

Result<std::string> ExpressionParser::dotted_name() {
  std::string name = TRY(tokens_.expect_any_name());
  while (tokens_.skip_operator(".")) name.append(".").append(TRY(tokens_.expect_any_name()));
  return name;
}

Result<ExpressionPtr> ExpressionParser::filter(ExpressionPtr value) {
  const Position at = tokens_.at();
  const std::string name = TRY(dotted_name());
  const Builtin* builtin = find_filter(name);
  if (builtin == nullptr) {
    return unsupported("{}: the filter {} is not supported", to_string(at), in_quotes(name));
  }
  Arguments given;
  if (tokens_.is_operator("(")) given = TRY(arguments());
  std::vector<ExpressionPtr> children(1);
  children[0] = std::move(value);
  auto node = TRY(make(Node::Filter, at, std::move(children)));
  node->builtin = builtin;
  node->arguments = std::move(given);
  TRY(measure(*node));
  return node;
}

Result<ExpressionPtr> ExpressionParser::filter_chain() {
  ExpressionPtr chain;
  do chain = TRY(filter(std::move(chain)));
  while (tokens_.skip_operator("|"));
  return chain;
}

Result<ExpressionPtr> ExpressionParser::test(ExpressionPtr value) {
  tokens_.take();  // "is"
  const bool negated = tokens_.skip_name("not");
  const Position at = tokens_.at();
  const std::string name = TRY(dotted_name());
  const Builtin* builtin = find_test(name);
  if (builtin == nullptr) {
    return unsupported("{}: the test {} is not supported", to_string(at), in_quotes(name));
  }
  Arguments given;
  if (tokens_.is_operator("(")) {
    given = TRY(arguments());
  } else {
    const TokenKind kind = tokens_.current().kind;
    const bool literal = kind == TokenKind::String || kind == TokenKind::Integer ||
                         kind == TokenKind::Float || tokens_.is_operator("[") ||
                         tokens_.is_operator("{");
    const bool name_follows = kind == TokenKind::Name && !tokens_.is_name("else") &&
                              !tokens_.is_name("or") && !tokens_.is_name("and");
    if (tokens_.is_name("is")) {
      return invalid_data("{}: tests with \"is\" cannot follow each other",
                          to_string(tokens_.at()));
    }
    if (literal || name_follows) {
      auto argument = TRY(primary());
      given.positional.push_back(TRY(postfix(std::move(argument))));
    }
  }
  auto node = TRY(make(Node::Test, at, list_of(std::move(value))));
  node->builtin = builtin;
  node->arguments = std::move(given);
  TRY(measure(*node));
  if (!negated) return node;
  return make(Node::Not, at, list_of(std::move(node)));
}

Result<Target> ExpressionParser::target(bool with_attribute) {
  const Position at = tokens_.at();
  TRY(enter(at));
  std::vector<Target> parts;
  bool is_tuple = false;
  do {
    if (tokens_.is_name("in") || tokens_.is_operator("=") || tokens_.is_operator(")") ||
        tokens_.is(TokenKind::BlockEnd)) {
      break;
    }
    if (tokens_.skip_operator("(")) {
      parts.push_back(TRY(target(with_attribute)));
      TRY(tokens_.expect_operator(")"));
    } else {
      Target part;
      part.at = tokens_.at();
      part.name = TRY(tokens_.expect_any_name());
      if (with_attribute && tokens_.skip_operator(".")) {
        part.kind = Target::Kind::Attribute;
        part.attribute = TRY(tokens_.expect_any_name());
      }
      parts.push_back(std::move(part));
    }
    is_tuple = is_tuple || tokens_.is_operator(",");
  } while (tokens_.skip_operator(","));
  leave();
  if (parts.empty()) return tokens_.unexpected("a name to assign to");
  if (!is_tuple) return std::move(parts[0]);
  Target result;
  result.kind = Target::Kind::Tuple;
  result.at = at;
  result.parts = std::move(parts);
  return result;
}

Result<std::vector<Parameter>> ExpressionParser::parameters() {
  std::vector<Parameter> result;
  TRY(tokens_.expect_operator("("));
  while (!tokens_.is_operator(")")) {
    if (!result.empty()) TRY(tokens_.expect_operator(","));
    Parameter parameter;
    const Position at = tokens_.at();
    parameter.name = TRY(tokens_.expect_any_name());
    if (tokens_.skip_operator("=")) {
      parameter.otherwise = TRY(expression());
    } else if (!result.empty() && result.back().otherwise) {
      return invalid_data("{}: a parameter without a default after one with", to_string(at));
    }
    result.push_back(std::move(parameter));
  }
  tokens_.take();
  return result;
}

}  // namespace diptych::jinja
