#include "jinja/parser.h"

#include <algorithm>
#include <array>

#include "jinja/expression_parser.h"

namespace diptych::jinja {

namespace {

constexpr int kMaxNesting = 60;  // statements within statements
using Node = Statement::Kind;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}

  Result<Block> run() { return block({}); }

 private:
  using Names = std::vector<std::string_view>;

  // Statements up to "{% name", for one of the names in `ends`, which becomes current; without
  // names up to the end.
  Result<Block> block(const Names& ends) {
    Block statements;
    while (!tokens_.is(TokenKind::End)) {
      const Token& token = tokens_.take();
      if (token.kind == TokenKind::Text) {
        statements.push_back(make(Node::Text, token.at));
        statements.back().text = token.text;
      } else if (token.kind == TokenKind::VariableBegin) {
        Statement output = make(Node::Output, token.at);
        output.expressions.push_back(TRY(expressions_.tuple()));
        TRY(tokens_.expect(TokenKind::VariableEnd, "\"}}\""));
        statements.push_back(std::move(output));
      } else {  // a block, since tags are lexed in pairs
        if (tokens_.is(TokenKind::Name) &&
            std::find(ends.begin(), ends.end(), tokens_.current().text) != ends.end()) {
          return statements;
        }
        statements.push_back(TRY(statement()));
      }
    }
    if (!ends.empty()) return tokens_.unexpected(fmt::format("\"{{% {} %}}\"", ends.back()));
    return statements;
  }

  // The block after the end of the current tag, up to the tag with one of `ends`.
  Result<Block> body(const Names& ends) {
    TRY(end_tag());
    if (++nesting_ > kMaxNesting) {
      return unsupported("{}: statements nest deeper than {} levels", to_string(tokens_.at()),
                         kMaxNesting);
    }
    Block statements = TRY(block(ends));
    --nesting_;
    return statements;
  }

  // The same where only one tag can end it; that tag is read as well.
  Result<Block> only_body(std::string_view end) {
    Block statements = TRY(body({end}));
    tokens_.take();
    TRY(end_tag());
    return statements;
  }

  Status end_tag() { return tokens_.expect(TokenKind::BlockEnd, "\"%}\""); }

  static Statement make(Node kind, Position at) {
    Statement statement;
    statement.kind = kind;
    statement.at = at;
    return statement;
  }

  Result<Statement> statement() {
    const Position at = tokens_.at();
    const std::string name = TRY(tokens_.expect_any_name());
    if (name == "if") return if_statement(at);
    if (name == "for") return for_statement(at);
    if (name == "set") return set_statement(at);
    if (name == "macro") return macro_statement(at);
    if (name == "call") return call_statement(at);
    if (name == "filter") return filter_statement(at);
    if (name == "with") return with_statement(at);
    if (name == "generation") {  // marks what the assistant said; the text is the same
      Statement scope = make(Node::Scope, at);
      scope.bodies.push_back(TRY(only_body("endgeneration")));
      return scope;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) return invalid_data("{}: \"{}\" outside of a loop", to_string(at), name);
      TRY(end_tag());
      return make(name == "break" ? Node::Break : Node::Continue, at);
    }
    constexpr std::array<std::string_view, 8> kClosing = {
        "else", "elif", "endif", "endfor", "endmacro", "endfilter", "endset", "endwith"};
    if (std::find(kClosing.begin(), kClosing.end(), name) != kClosing.end()) {
      return invalid_data("{}: \"{}\" has nothing that it belongs to", to_string(at), name);
    }
    return unsupported("{}: the statement {} is not supported", to_string(at), in_quotes(name));
  }

  Result<Statement> if_statement(Position at) {
    Statement result = make(Node::If, at);
    while (true) {
      result.expressions.push_back(TRY(expressions_.tuple(false)));
      result.bodies.push_back(TRY(body({"elif", "else", "endif"})));
      const std::string end = tokens_.take().text;
      if (end == "elif") continue;
      if (end == "else") {
        result.bodies.push_back(TRY(only_body("endif")));
      } else {
        TRY(end_tag());
      }
      return result;
    }
  }

  Result<Statement> for_statement(Position at) {
    Statement result = make(Node::For, at);
    result.targets.push_back(TRY(expressions_.target(false)));
    TRY(tokens_.expect_name("in"));
    result.expressions.push_back(TRY(expressions_.tuple(false)));
    result.expressions.emplace_back();
    if (tokens_.skip_name("if")) result.expressions[1] = TRY(expressions_.expression());
    if (tokens_.is_name("recursive")) {
      return unsupported("{}: a recursive loop is not supported", to_string(tokens_.at()));
    }
    ++loops_;
    result.bodies.push_back(TRY(body({"else", "endfor"})));
    --loops_;
    if (tokens_.take().text == "else") {
      result.bodies.push_back(TRY(only_body("endfor")));
    } else {
      TRY(end_tag());
      result.bodies.emplace_back();
    }
    return result;
  }

  Result<Statement> set_statement(Position at) {
    Statement result = make(Node::Set, at);
    result.targets.push_back(TRY(expressions_.target(true)));
    if (tokens_.skip_operator("=")) {
      result.expressions.push_back(TRY(expressions_.tuple()));
      TRY(end_tag());
      return result;
    }
    result.kind = Node::SetBlock;
    result.expressions.emplace_back();
    if (tokens_.skip_operator("|")) result.expressions[0] = TRY(expressions_.filter_chain());
    result.bodies.push_back(TRY(only_body("endset")));
    return result;
  }

  // Reads a body that is called like a function; loops around it do not reach into it.
  Status macro_body(Macro& macro, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    const bool varargs = std::exchange(expressions_.saw_varargs, false);
    const bool kwargs = std::exchange(expressions_.saw_kwargs, false);
    const bool caller = std::exchange(expressions_.saw_caller, false);
    macro.body = TRY(only_body(end));
    macro.uses_varargs = std::exchange(expressions_.saw_varargs, varargs);
    macro.uses_kwargs = std::exchange(expressions_.saw_kwargs, kwargs);
    macro.uses_caller = std::exchange(expressions_.saw_caller, caller);
    loops_ = loops;
    return {};
  }

  Result<Statement> macro_statement(Position at) {
    Statement result = make(Node::Macro, at);
    result.macro = std::make_unique<Macro>();
    result.macro->name = TRY(tokens_.expect_any_name());
    result.macro->parameters = TRY(expressions_.parameters());
    TRY(macro_body(*result.macro, "endmacro"));
    return result;
  }

  Result<Statement> call_statement(Position at) {
    Statement result = make(Node::CallBlock, at);
    result.macro = std::make_unique<Macro>();
    result.macro->name = "caller";
    if (tokens_.is_operator("(")) result.macro->parameters = TRY(expressions_.parameters());
    result.expressions.push_back(TRY(expressions_.expression()));
    if (result.expressions[0]->kind != Expression::Kind::Call) {
      return invalid_data("{}: expected a call", to_string(at));
    }
    TRY(macro_body(*result.macro, "endcall"));
    return result;
  }

  Result<Statement> filter_statement(Position at) {
    Statement result = make(Node::Filter, at);
    result.expressions.push_back(TRY(expressions_.filter_chain()));
    result.bodies.push_back(TRY(only_body("endfilter")));
    return result;
  }

  Result<Statement> with_statement(Position at) {
    Statement result = make(Node::With, at);
    while (!tokens_.is(TokenKind::BlockEnd)) {
      if (!result.targets.empty()) TRY(tokens_.expect_operator(","));
      Target target;
      target.at = tokens_.at();
      target.name = TRY(tokens_.expect_any_name());
      result.targets.push_back(std::move(target));
      TRY(tokens_.expect_operator("="));
      result.expressions.push_back(TRY(expressions_.expression()));
    }
    result.bodies.push_back(TRY(only_body("endwith")));
    return result;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int nesting_ = 0, loops_ = 0;
};

}  // namespace

Result<Block> parse(std::string_view source) { return Parser(TRY(tokenize(source))).run(); }

}  // namespace diptych::jinja
