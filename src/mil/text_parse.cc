#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "mil/op_table.h"
#include "mil/text.h"
#include "mil/text_lexer.h"
#include "mil/text_literal.h"
#include "mil/verify.h"

namespace diptych::mil {
namespace {

// All %names of a text. Constants that stand inline have no name in the text and get one that is
// not among these.
Result<std::unordered_set<std::string>> value_names(std::string_view text) {
  std::unordered_set<std::string> names;
  Lexer lexer(text);
  while (true) {
    Token token = TRY(lexer.next());
    if (token.kind == Token::Kind::End) return names;
    if (token.kind == Token::Kind::Value) names.insert(std::move(token.text));
  }
}

// What stands before ": type" and the type itself.
struct Declaration {
  Token name;
  TensorType type;
};

// One function per rule of the grammar in text.h; `token_` is the one that comes next.
class Parser {
 public:
  Parser(std::string_view text, std::unordered_set<std::string> names, const BlobLookup& blobs)
      : lexer_(text), names_(std::move(names)), blobs_(blobs) {}

  Result<Program> program() {
    TRY(advance());
    Program program;
    std::unordered_set<std::string> names;
    while (token_.kind != Kind::End) {
      const Token start = token_;
      auto parsed = TRY(function());
      if (!names.insert(parsed->name).second) {
        return fail_at(start, "another function is named {}", quote(parsed->name));
      }
      program.functions.push_back(std::move(parsed));
    }
    return program;
  }

 private:
  using Kind = Token::Kind;

  // --- Tokens ---

  template <class... Args>
  static tl::unexpected<Error> fail_at(const Token& token, fmt::format_string<Args...> format,
                                       Args&&... args) {
    return tl::unexpected(Error{ErrorCode::InvalidData,
                                place(token),
                                fmt::format(format, std::forward<Args>(args)...),
                                {}});
  }

  tl::unexpected<Error> expected(std::string_view what) const {
    const std::string found =
        token_.kind == Kind::End ? "the end" : quote(std::string_view(token_.text).substr(0, 40));
    return fail_at(token_, "expected {}, found {}", what, found);
  }

  Status advance() {
    token_ = TRY(lexer_.next());
    return {};
  }

  Result<Token> take(Kind kind, std::string_view what) {
    if (token_.kind != kind) return expected(what);
    Token token = std::move(token_);
    TRY(advance());
    return token;
  }

  Status take_symbol(char c) {
    if (!token_.is_symbol(c)) return expected(fmt::format("'{}'", c));
    return advance();
  }

  Status take_word(std::string_view word) {
    if (!token_.is_word(word)) return expected(fmt::format("'{}'", word));
    return advance();
  }

  // item {',' item} up to `close`, which is consumed; nothing at all is fine.
  template <class Item>
  Status list_until(char close, Item item) {
    if (!token_.is_symbol(close)) {
      TRY(item());
      while (token_.is_symbol(',')) {
        TRY(advance());
        TRY(item());
      }
    }
    return take_symbol(close);
  }

  // --- Types and constants ---

  Status dimension(Shape& shape) {
    const Token token = TRY(take(Kind::Number, "a dimension"));
    int64_t dim = 0;
    const char* end = token.text.data() + token.text.size();
    const auto parsed = std::from_chars(token.text.data(), end, dim);
    if (parsed.ec != std::errc{} || parsed.ptr != end || dim < 0) {
      return fail_at(token, "expected a dimension, found {}", quote(token.text.substr(0, 40)));
    }
    shape.push_back(dim);
    return {};
  }

  // dtype ['[' dims ']'], the dtype's name already taken.
  Result<TensorType> type_after(const Token& name) {
    TensorType type{TRY(within(place(name), dtype_from_name(name.text))), {}};
    if (token_.is_symbol('[')) {
      TRY(advance());
      TRY(list_until(']', [&] { return dimension(type.shape); }));
    }
    TRY(within(place(name), element_count(type.shape)));
    return type;
  }

  Result<TensorType> type() { return type_after(TRY(take(Kind::Word, "a type"))); }

  // '(' elements ')' of a constant whose type has been read.
  Result<WeightRef> literal(const Token& start, TensorType type) {
    std::vector<uint64_t> elements;
    TRY(take_symbol('('));
    TRY(list_until(')', [&]() -> Status {
      if (token_.kind != Kind::Number && token_.kind != Kind::Word) return expected("a value");
      elements.push_back(TRY(within(place(token_), parse_element(type.dtype, token_.text))));
      return advance();
    }));
    return within(place(start), weight_from_elements(std::move(type), elements));
  }

  // random(7), iota, zeros or blob("name"), `kind` already taken.
  Result<WeightRef> large_constant(const Token& kind, const TensorType& type) {
    TRY(within(place(kind), packed_size(type)));
    if (kind.text == "zeros") return zeros(type);
    if (kind.text == "blob") return blob(kind, type);
    if (bit_width(type.dtype) == 8 && is_float(type.dtype)) {
      return fail_at(kind, "{} of {} is not supported", kind.text, to_string(type));
    }
    if (kind.text == "iota") return iota_weight(type);

    TRY(take_symbol('('));
    const Token number = TRY(take(Kind::Number, "a seed"));
    TRY(take_symbol(')'));
    return random_weight(type,
                         TRY(within(place(number), parse_element(DType::UInt64, number.text))));
  }

  Result<WeightRef> blob(const Token& kind, const TensorType& type) {
    TRY(take_symbol('('));
    const Token name = TRY(take(Kind::String, "the name of a blob in quotes"));
    TRY(take_symbol(')'));
    if (blobs_ == nullptr) {
      return fail_at(kind, "the contents of blob({}) are not at hand", quote(name.text));
    }
    WeightRef weight = TRY(within(place(kind), blobs_(name.text, type)));
    if (weight == nullptr || weight->type() != type) {
      return fail_at(kind, "blob({}) is {}, expected {}", quote(name.text),
                     weight ? to_string(weight->type()) : "nothing", to_string(type));
    }
    return weight;
  }

  // --- Functions ---

  Result<std::unique_ptr<Function>> function() {
    TRY(take_word("func"));
    auto function =
        std::make_unique<Function>(TRY(take(Kind::Function, "the function's @name")).text);
    function_ = function.get();
    TRY(take_symbol('('));
    TRY(list_until(')', [&]() -> Status {
      Declaration input = TRY(declaration());
      function_->add_input(input.name.text, std::move(input.type));
      return {};
    }));
    TRY(take_word("opset"));
    function->opset = TRY(take(Kind::String, "the opset in quotes")).text;
    TRY(take_symbol('{'));
    while (!token_.is_word("return")) TRY(statement());
    TRY(advance());
    TRY(list_until('}', [&]() -> Status {
      function_->outputs.push_back(TRY(defined_value()));
      return {};
    }));
    return function;
  }

  // %name ':' type, of a value that does not exist yet.
  Result<Declaration> declaration() {
    Token name = TRY(take(Kind::Value, "a %name"));
    if (function_->find(name.text) != nullptr) {
      return fail_at(name, "%{} is defined already", name.text);
    }
    TRY(take_symbol(':'));
    auto declared = TRY(type());
    return Declaration{std::move(name), std::move(declared)};
  }

  Result<Value*> defined_value() {
    const Token name = TRY(take(Kind::Value, "a %name"));
    Value* value = function_->find(name.text);
    if (value == nullptr) return fail_at(name, "%{} is not defined here", name.text);
    return value;
  }

  // [declarations '='] and then a constant or an operation.
  Status statement() {
    std::vector<Declaration> results;
    std::unordered_set<std::string> result_names;
    while (token_.kind == Kind::Value) {
      results.push_back(TRY(declaration()));
      const Token& name = results.back().name;
      if (!result_names.insert(name.text).second) {
        return fail_at(name, "%{} is defined already", name.text);
      }
      if (!token_.is_symbol(',')) break;
      TRY(advance());
      if (token_.kind != Kind::Value) return expected("a %name");
    }
    if (!results.empty()) TRY(take_symbol('='));

    // A quoted string is a constant, unless it is an operation's type: then operands follow.
    const Token head = token_;
    if (head.kind != Kind::Word && head.kind != Kind::String) return expected("an operation");
    TRY(advance());
    if (head.kind == Kind::String && !token_.is_symbol('(')) return string_constant(head, results);
    if (head.kind == Kind::Word && is_keyword(head.text)) return constant(head, results);
    return operation(head, std::move(results));
  }

  Status string_constant(const Token& head, const std::vector<Declaration>& results) {
    if (results.size() != 1 || results[0].type != TensorType{DType::String, {}}) {
      return fail_at(head, "a string is the value of one constant of type string");
    }
    function_->add_string(results[0].name.text, head.text);
    return {};
  }

  Status constant(const Token& head, const std::vector<Declaration>& results) {
    if (results.size() != 1) return fail_at(head, "a constant has one name");
    const Declaration& declared = results[0];
    WeightRef weight;
    if (dtype_from_name(head.text)) {
      const TensorType own_type = TRY(type_after(head));
      if (own_type != declared.type) {
        return fail_at(head, "%{} is declared {}, found {}", declared.name.text,
                       to_string(declared.type), to_string(own_type));
      }
      weight = TRY(literal(head, own_type));
    } else if (head.text == "zeros" || head.text == "iota" || head.text == "random" ||
               head.text == "blob") {
      weight = TRY(large_constant(head, declared.type));
    } else {
      return fail_at(head, "'{}' cannot stand here", head.text);
    }
    function_->add_constant(declared.name.text, std::move(weight));
    return {};
  }

  Status operation(const Token& head, std::vector<Declaration> results) {
    const std::string owner = results.empty() ? head.text : results[0].name.text;
    std::vector<Operand> operands;
    TRY(take_symbol('('));
    TRY(list_until(')', [&]() -> Status {
      operands.push_back(TRY(operand(owner)));
      return {};
    }));

    std::vector<std::pair<std::string, TensorType>> typed;
    for (Declaration& result : results) {
      typed.emplace_back(std::move(result.name.text), std::move(result.type));
    }
    return check_types(head, *function_->add_op(head.text, std::move(operands), std::move(typed)));
  }

  // verify() would say the same, but only here is the place known.
  Status check_types(const Token& head, const Op& op) {
    if (!is_known_op(op.type)) return {};
    const Opset opset = TRY(within(place(head), opset_from_name(function_->opset)));
    const auto inferred = TRY(within(place(head), infer(op, opset)));
    if (inferred.size() != op.results.size()) {
      return fail_at(head, "{} has {} results, found {}", op.type, inferred.size(),
                     op.results.size());
    }
    for (size_t i = 0; i < inferred.size(); ++i) {
      const Value& result = *op.results[i];
      if (result.type != inferred[i]) {
        return fail_at(head, "%{} is declared {}, inferred is {}", result.name,
                       to_string(result.type), to_string(inferred[i]));
      }
    }
    return {};
  }

  // param '=' value, or param '=' '[' values ']'.
  Result<Operand> operand(const std::string& owner) {
    if (token_.kind != Kind::Word && token_.kind != Kind::String) return expected("a parameter");
    Operand operand{token_.text, {}};
    TRY(advance());
    TRY(take_symbol('='));
    const auto one = [&]() -> Status {
      const std::string wanted =
          fmt::format("{}_{}_{}", owner, operand.param, operand.values.size());
      operand.values.push_back(TRY(use(wanted)));
      return {};
    };
    if (token_.is_symbol('[')) {
      TRY(advance());
      TRY(list_until(']', one));
    } else {
      TRY(one());
    }
    return operand;
  }

  // A value that is defined already, or a constant that stands here and is to be named `wanted`.
  Result<Value*> use(const std::string& wanted) {
    if (token_.kind == Kind::Value) return defined_value();
    if (token_.kind != Kind::Word && token_.kind != Kind::String) return expected("a value");
    const Token head = token_;
    TRY(advance());
    if (head.kind == Kind::String) return function_->add_string(free_name(wanted), head.text);
    TensorType type = TRY(type_after(head));
    return function_->add_constant(free_name(wanted), TRY(literal(head, std::move(type))));
  }

  std::string free_name(const std::string& wanted) {
    std::string name = wanted;
    // The counter never goes back, so that many equal names take no time either.
    while (names_.contains(name) || function_->find(name) != nullptr) {
      name = fmt::format("{}_{}", wanted, ++suffix_);
    }
    return name;
  }

  Lexer lexer_;
  const std::unordered_set<std::string> names_;
  const BlobLookup& blobs_;
  Token token_;
  Function* function_ = nullptr;  // the one being parsed
  uint64_t suffix_ = 0;           // of names of inline constants
};

}  // namespace

Result<Program> parse(std::string_view text, const BlobLookup& blobs) {
  auto names = TRY(value_names(text));
  Program program = TRY(Parser(text, std::move(names), blobs).program());
  TRY(verify(program, true));
  return program;
}

}  // namespace diptych::mil
