#include "grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "base/in_quotes.h"
#include "base/json.h"
#include "grammar/json_numbers.h"
#include "grammar/json_pattern.h"
#include "grammar/json_rules.h"
#include "grammar/string_formats.h"

namespace diptych::grammar {

namespace {

constexpr size_t kMostRules = 20'000, kMostRepeats = 10'000;
constexpr size_t kMostDepth = 300;      // of schemas within one another, references followed
constexpr size_t kMostNameBytes = 200;  // where other names than it are written

// They say nothing about which values validate.
constexpr std::string_view kAnnotations[] = {
    "title", "description", "default",     "examples", "$schema",
    "$id",   "$comment",    "deprecated",  "readOnly", "writeOnly",
    "$defs", "definitions", "contentType", "$anchor",  "strict"};

using Keys = std::set<std::string_view>;
const Keys kStringKeys = {"minLength", "maxLength", "pattern", "format"};
const Keys kNumberKeys = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
const Keys kArrayKeys = {"items", "prefixItems", "minItems", "maxItems"};
const Keys kObjectKeys = {"properties", "required", "additionalProperties"};

const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

// "~1" and "~0" of JSON pointers, and "%20" of fragments.
std::string unescaped(std::string_view text) {
  constexpr std::pair<std::string_view, char> kEscapes[] = {{"~1", '/'}, {"~0", '~'}, {"%20", ' '}};
  std::string plain;
  while (!text.empty()) {
    const auto row = std::find_if(std::begin(kEscapes), std::end(kEscapes),
                                  [&](const auto& entry) { return text.starts_with(entry.first); });
    const bool escaped = row != std::end(kEscapes);
    plain += escaped ? row->second : text[0];
    text.remove_prefix(escaped ? row->first.size() : 1);
  }
  return plain;
}

class Translator {
 public:
  Translator() : json_(add_json_rules(rules_)) {}

  // The rule of a schema, of which `root` is the whole.
  Result<size_t> rule_of(const Json& schema, const std::string& path) {
    const auto found = known_.find(&schema);
    if (found != known_.end()) return found->second;
    if (rules_.size() > kMostRules || depth_ > kMostDepth) {
      return unsupported("{}: the schema is too large", path);
    }
    rules_.push_back({path, nullptr});
    const size_t index = rules_.size() - 1;
    known_.emplace(&schema, index);
    ++depth_;
    Result<Expression> body = translate(schema, path);
    --depth_;
    rules_[index].body = TRY(std::move(body));
    return index;
  }

  size_t add(std::string name, Expression body) {
    rules_.push_back({std::move(name), std::move(body)});
    return rules_.size() - 1;
  }
  void set_root(const Json& root) { root_ = &root; }
  const JsonRules& json() const { return json_; }
  Result<std::shared_ptr<const Automaton>> compiled(size_t start) const {
    return compile(rules_, start);
  }

 private:
  static tl::unexpected<Error> wrong(const std::string& path, std::string_view what) {
    return invalid_data("{}: {}", path, what);
  }
  static tl::unexpected<Error> unknown(const std::string& path, std::string_view keyword,
                                       std::string_view beside = {}) {
    return unsupported("{}: the keyword {}{}{} is not supported", path, in_quotes(keyword),
                       beside.empty() ? "" : " beside ", beside);
  }

  // Fails for keywords besides annotations and `known`.
  static Status check_keys(const Json& schema, const std::string& path, const Keys& known,
                           std::string_view beside = {}) {
    for (const auto& [key, value] : schema.items()) {
      if (known.contains(key)) continue;
      if (std::find(std::begin(kAnnotations), std::end(kAnnotations), key) !=
          std::end(kAnnotations)) {
        continue;
      }
      return unknown(path, key, beside);
    }
    return {};
  }

  Result<Expression> translate(const Json& schema, const std::string& path) {
    if (schema.is_boolean()) {
      if (schema.get<bool>()) return rule(json_.value);
      return unsupported("{}: a schema that nothing validates against", path);
    }
    if (!schema.is_object()) return wrong(path, "expected a schema: an object or true");
    if (const Json* reference = member(schema, "$ref")) {
      TRY(check_keys(schema, path, {"$ref"}, "\"$ref\""));
      return follow(*reference, path);
    }
    if (schema.contains("enum") || schema.contains("const")) return translate_values(schema, path);
    for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
      if (const Json* ways = member(schema, keyword)) {
        TRY(check_keys(schema, path, {keyword}, in_quotes(keyword)));
        return translate_ways(keyword, *ways, path + "/" + keyword);
      }
    }
    return translate_types(schema, path);
  }

  // The schema that a reference within the document leads to.
  Result<const Json*> resolve(const Json& reference, const std::string& path) const {
    if (!reference.is_string() || !reference.get<std::string>().starts_with('#')) {
      return unsupported("{}/$ref: only references within the schema (#/…) are supported", path);
    }
    const std::string pointer = reference.get<std::string>().substr(1);
    const Json* at = root_;
    for (size_t begin = 0; begin < pointer.size();) {
      const size_t end = std::min(pointer.find('/', begin + 1), pointer.size());
      const std::string key = unescaped(pointer.substr(begin + 1, end - begin - 1));
      const Json* next = nullptr;
      if (at->is_object()) {
        next = member(*at, key.c_str());
      } else if (at->is_array() && !key.empty() && key.size() < 6 &&
                 std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
                 std::stoul(key) < at->size()) {
        next = &(*at)[std::stoul(key)];
      }
      if (next == nullptr) {
        return invalid_data("{}/$ref: {} leads nowhere", path, in_quotes(pointer));
      }
      at = next;
      begin = end;
    }
    return at;
  }
  Result<Expression> follow(const Json& reference, const std::string& path) {
    const Json* schema = TRY(resolve(reference, path));
    return rule(TRY(rule_of(*schema, reference.get<std::string>())));
  }

  static bool has_type(const Json& value, std::string_view type) {
    if (type == "string") return value.is_string();
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
  }

  Result<Expression> translate_values(const Json& schema, const std::string& path) {
    TRY(check_keys(schema, path, {"enum", "const", "type"}, "values"));
    const Json* values = member(schema, "enum");
    const Json* constant = member(schema, "const");
    if (values != nullptr && !values->is_array()) return wrong(path + "/enum", "expected a list");
    const std::vector<std::string> types =
        schema.contains("type") ? TRY(types_of(schema, path)) : std::vector<std::string>();
    std::vector<Expression> ways;
    const auto add_value = [&](const Json& value) {
      const bool fits =
          types.empty() || std::any_of(types.begin(), types.end(),
                                       [&](const auto& t) { return has_type(value, t); });
      if (fits && (constant == nullptr || *constant == value))
        ways.push_back(text(dump_json(value)));
    };
    if (values != nullptr) {
      for (const Json& value : *values) add_value(value);
    } else {
      add_value(*constant);
    }
    if (ways.empty()) return wrong(path, "no value is left to choose from");
    return any(std::move(ways));
  }

  Result<Expression> translate_ways(std::string_view keyword, const Json& ways,
                                    const std::string& path) {
    if (!ways.is_array() || ways.empty()) return wrong(path, "expected a list of schemas");
    if (keyword == "allOf" && ways.size() > 1) {
      return unsupported("{}: more than one schema in \"allOf\" is not supported", path);
    }
    if (keyword == "oneOf") TRY(check_disjoint(ways, path));
    std::vector<Expression> rules;
    for (const Json& way : ways) {
      rules.push_back(rule(TRY(rule_of(way, fmt::format("{}/{}", path, rules.size())))));
    }
    return any(std::move(rules));
  }

  // What tells a schema's values from those of others: their types, or a member that is one of some
  // texts.
  struct Mark {
    std::set<std::string> types;
    std::map<std::string, std::set<std::string>> members;
  };
  Result<Mark> mark_of(const Json* schema, const std::string& path) const {
    Mark mark;
    for (int i = 0; i < 16 && schema->is_object() && schema->contains("$ref"); ++i) {
      schema = TRY(resolve((*schema)["$ref"], path));
    }
    if (!schema->is_object()) return mark;
    if (schema->contains("type")) {
      for (const std::string& type : TRY(types_of(*schema, path))) {
        mark.types.insert(type == "integer" ? "number" : type);
      }
    }
    const Json* properties = member(*schema, "properties");
    const Json* required = member(*schema, "required");
    if (properties == nullptr || !properties->is_object() || required == nullptr) return mark;
    for (const auto& [key, value] : properties->items()) {
      if (!value.is_object() ||
          std::find(required->begin(), required->end(), Json(key)) == required->end()) {
        continue;
      }
      if (const Json* constant = member(value, "const")) {
        mark.members[key].insert(dump_json(*constant));
      } else if (const Json* values = member(value, "enum"); values && values->is_array()) {
        for (const Json& one : *values) mark.members[key].insert(dump_json(one));
      }
    }
    return mark;
  }
  static bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
    return std::none_of(a.begin(), a.end(), [&](const auto& item) { return b.contains(item); });
  }
  // With oneOf no value may validate against two of the schemas: that must be plain to see.
  Status check_disjoint(const Json& ways, const std::string& path) const {
    std::vector<Mark> marks;
    for (const Json& way : ways) marks.push_back(TRY(mark_of(&way, path)));
    for (size_t i = 0; i < marks.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        bool apart = !marks[i].types.empty() && !marks[k].types.empty() &&
                     disjoint(marks[i].types, marks[k].types);
        for (const auto& [key, values] : marks[i].members) {
          const auto other = marks[k].members.find(key);
          apart |= other != marks[k].members.end() && disjoint(values, other->second);
        }
        if (!apart) {
          return unsupported(
              "{}: the keyword \"oneOf\" is supported where the schemas' types differ, or a "
              "required member's constants; \"anyOf\" always",
              path);
        }
      }
    }
    return {};
  }

  Result<std::vector<std::string>> types_of(const Json& schema, const std::string& path) const {
    const Json& type = schema["type"];
    std::vector<std::string> types;
    const auto take = [&](const Json& name) -> Status {
      static const Keys kTypes = {"string", "integer", "number", "boolean",
                                  "null",   "array",   "object"};
      if (!name.is_string() || !kTypes.contains(name.get<std::string>())) {
        return wrong(path + "/type", "expected the name of a type, or a list of such");
      }
      types.push_back(name.get<std::string>());
      return {};
    };
    if (type.is_array()) {
      for (const Json& name : type) TRY(take(name));
    } else {
      TRY(take(type));
    }
    if (types.empty()) return wrong(path + "/type", "expected at least one type");
    return types;
  }

  Result<Expression> translate_types(const Json& schema, const std::string& path) {
    Keys known = {"type"};
    for (const Keys* keys : {&kStringKeys, &kNumberKeys, &kArrayKeys, &kObjectKeys}) {
      known.insert(keys->begin(), keys->end());
    }
    TRY(check_keys(schema, path, known));
    std::vector<std::string> types;
    if (schema.contains("type")) {
      types = TRY(types_of(schema, path));
    } else {
      const auto has_any = [&](const Keys& keys) {
        return std::any_of(keys.begin(), keys.end(),
                           [&](std::string_view key) { return schema.contains(std::string(key)); });
      };
      if (has_any(kObjectKeys)) types.emplace_back("object");
      if (has_any(kArrayKeys)) types.emplace_back("array");
      if (has_any(kStringKeys)) types.emplace_back("string");
      if (has_any(kNumberKeys)) types.emplace_back("number");
      if (types.empty()) return rule(json_.value);
    }
    std::vector<Expression> ways;
    for (const std::string& type : types) ways.push_back(TRY(translate_type(type, schema, path)));
    return any(std::move(ways));
  }

  Result<Expression> translate_type(std::string_view type, const Json& schema,
                                    const std::string& path) {
    if (type == "object") return translate_object(schema, path);
    if (type == "array") return translate_array(schema, path);
    if (type == "string") return translate_string(schema, path);
    if (type == "boolean") return rule(json_.boolean);
    if (type == "null") return rule(json_.null);
    return translate_number(type == "integer", schema, path);
  }

  // The value of a keyword that counts.
  static Result<size_t> count(const Json& schema, const char* key, const std::string& path,
                              size_t missing) {
    if (!schema.contains(key)) return missing;
    const Result<int64_t> value = json_int(schema, key);
    if (!value || *value < 0)
      return wrong(path, fmt::format("\"{}\": expected a number from 0 on", key));
    if (*value > static_cast<int64_t>(kMostRepeats)) {
      return unsupported("{}: \"{}\" of more than {}", path, key, kMostRepeats);
    }
    return static_cast<size_t>(*value);
  }

  Result<Expression> translate_string(const Json& schema, const std::string& path) {
    const Json* pattern = member(schema, "pattern");
    const Json* format = member(schema, "format");
    const bool has_length = schema.contains("minLength") || schema.contains("maxLength");
    if (pattern != nullptr) {
      if (has_length) return unknown(path, "pattern", "lengths");
      if (format != nullptr) return unknown(path, "format", "\"pattern\"");
      if (!pattern->is_string()) return wrong(path + "/pattern", "expected a text");
      return within(path, json_pattern(pattern->get<std::string>(), json_));
    }
    if (format != nullptr) {
      if (has_length) return unknown(path, "format", "lengths");
      return translate_format(*format, path);
    }
    if (!has_length) return rule(json_.string);
    const size_t least = TRY(count(schema, "minLength", path, 0));
    const size_t most = TRY(count(schema, "maxLength", path, kUnlimited));
    if (most < least) return wrong(path, "\"maxLength\" is below \"minLength\"");
    return sequence({text("\""), repeat(rule(json_.character), least, most), text("\"")});
  }

  Result<Expression> translate_format(const Json& format, const std::string& path) {
    const std::string pattern =
        format.is_string() ? pattern_of_format(format.get<std::string>()) : std::string();
    if (pattern.empty()) {
      return unsupported("{}: the \"format\" {} is not supported", path, dump_json(format));
    }
    return json_pattern(pattern, json_);
  }

  Result<std::optional<Bound>> bound(const Json& schema, const char* inclusive,
                                     const char* exclusive, bool larger, const std::string& path) {
    std::optional<Bound> found;
    for (const char* key : {inclusive, exclusive}) {
      const Json* value = member(schema, key);
      if (value == nullptr) continue;
      if (!value->is_number()) return wrong(path + "/" + key, "expected a number");
      const Bound next{value->get<double>(), key == exclusive};
      if (!found || (larger ? next.value >= found->value : next.value <= found->value))
        found = next;
    }
    return found;
  }

  Result<Expression> translate_number(bool integer, const Json& schema, const std::string& path) {
    const auto low = TRY(bound(schema, "minimum", "exclusiveMinimum", true, path));
    const auto high = TRY(bound(schema, "maximum", "exclusiveMaximum", false, path));
    if (!low && !high) return rule(integer ? json_.integer : json_.number);
    const Expression numbers = integer ? integers_between(low, high) : numbers_between(low, high);
    if (matches_nothing(*numbers)) {
      return unsupported(
          "{}: no number of at most {} digits before and behind the point is between the bounds",
          path, kMostDigits);
    }
    return numbers;
  }
  static bool matches_nothing(const Node& node) {
    const auto part_does = [](const Expression& part) { return matches_nothing(*part); };
    if (node.kind == Node::Kind::Any) {
      return std::all_of(node.parts.begin(), node.parts.end(), part_does);
    }
    return node.kind == Node::Kind::Sequence &&
           std::any_of(node.parts.begin(), node.parts.end(), part_does);
  }

  Result<Expression> translate_array(const Json& schema, const std::string& path) {
    std::vector<Expression> first;  // the items that have schemas of their own
    if (const Json* prefix = member(schema, "prefixItems")) {
      if (!prefix->is_array()) return wrong(path + "/prefixItems", "expected a list of schemas");
      for (const Json& item : *prefix) {
        first.push_back(
            rule(TRY(rule_of(item, fmt::format("{}/prefixItems/{}", path, first.size())))));
      }
    }
    const Json* items = member(schema, "items");
    const bool closed_list = items != nullptr && *items == false;
    const size_t least = TRY(count(schema, "minItems", path, 0));
    size_t most = TRY(count(schema, "maxItems", path, kUnlimited));
    if (closed_list) most = std::min(most, first.size());
    if (most < least) return wrong(path, "fewer items are allowed than are needed");
    Expression item = rule(json_.value);
    if (items != nullptr && !closed_list) item = rule(TRY(rule_of(*items, path + "/items")));

    // From behind: what follows the items so far.
    const auto end = closed(json_, ']');
    const size_t fixed = std::min(first.size(), most);
    Expression rest = repeat(sequence({comma(json_), item}), least > fixed ? least - fixed : 0,
                             most == kUnlimited ? kUnlimited : most - fixed);
    if (fixed == 0) {
      if (most == 0) return sequence({opened(json_, '['), text("]")});
      const Expression some =
          sequence({item,
                    repeat(sequence({comma(json_), item}), least > 1 ? least - 1 : 0,
                           most == kUnlimited ? kUnlimited : most - 1),
                    rule(json_.space)});
      return sequence({opened(json_, '['), least > 0 ? some : optional(some), text("]")});
    }
    for (size_t i = fixed; i-- > 0;) {
      Expression here = sequence({i > 0 ? comma(json_) : text(""), first[i], rest});
      rest = i < least ? here : optional(here);
    }
    return sequence({opened(json_, '['), rest, end});
  }

  Result<Expression> translate_object(const Json& schema, const std::string& path) {
    const Json* properties = member(schema, "properties");
    if (properties != nullptr && !properties->is_object()) {
      return wrong(path + "/properties", "expected an object");
    }
    std::set<std::string> required;
    if (const Json* names = member(schema, "required")) {
      if (!names->is_array()) return wrong(path + "/required", "expected a list of names");
      for (const Json& name : *names) {
        if (!name.is_string()) return wrong(path + "/required", "expected a list of names");
        required.insert(name.get<std::string>());
      }
    }
    struct Member {
      Expression text;  // "name": value
      bool required;
    };
    std::vector<Member> members;
    std::set<std::string> names;
    const auto add_member = [&](const std::string& name, size_t value) {
      members.push_back(
          {sequence({text(dump_json(Json(name)) + ":"), rule(json_.space), rule(value)}),
           required.contains(name)});
      names.insert(name);
    };
    if (properties != nullptr) {
      for (const auto& [name, value] : properties->items()) {
        const std::string place = path + "/properties/" + name;
        if (value == false) continue;
        add_member(name, TRY(rule_of(value, place)));
      }
    }
    const Json* additional = member(schema, "additionalProperties");
    const bool none = additional != nullptr && *additional == false;
    size_t others = json_.value;
    if (additional != nullptr && !additional->is_boolean()) {
      others = TRY(rule_of(*additional, path + "/additionalProperties"));
    }
    for (const std::string& name : required) {
      if (names.contains(name)) continue;
      if (none) return wrong(path, fmt::format("{} is required and not allowed", in_quotes(name)));
      add_member(name, others);
    }
    // Without a word about them, others are allowed where no member has a name.
    const bool open = !none && (additional != nullptr || members.empty());

    // What follows the first i members, before and after one was written: from behind.
    const Expression end = closed(json_, '}');
    Expression after = end, before = end;
    if (open) {
      for (const std::string& name : names) {
        if (name.size() <= kMostNameBytes) continue;
        return unsupported("{}: further members beside a name of {} bytes", path, name.size());
      }
      const Expression other =
          sequence({other_name(names), text(":"), rule(json_.space), rule(others)});
      const Expression more = repeat(sequence({comma(json_), other}), 0, kUnlimited);
      after = sequence({more, end});
      before = any({text("}"), sequence({other, more, end})});
    } else if (members.empty()) {
      before = text("}");
    }
    for (size_t i = members.size(); i-- > 0;) {
      const size_t written = add(path, after), unwritten = add(path, before);
      const Expression now = sequence({members[i].text, rule(written)});
      after = sequence({comma(json_), now});
      before = now;
      if (members[i].required) continue;
      after = any({after, rule(written)});
      before = any({before, rule(unwritten)});
    }
    return sequence({opened(json_, '{'), before});
  }

  // A member's name that is none of these, without escapes.
  Expression other_name(const std::set<std::string>& names) {
    if (names.empty()) return rule(json_.string);
    const std::vector<std::string> sorted(names.begin(), names.end());
    return sequence({text("\""), other_text(sorted, 0)});
  }
  // The rest of one whose first `begun` bytes are those of all of `names`, and the quote.
  Expression other_text(std::span<const std::string> names, size_t begun) {
    std::vector<Expression> ways;
    // Of names with the same beginning the one that ends here is the first.
    if (names.front().size() > begun) {
      ways.push_back(text("\""));
    } else {
      names = names.subspan(1);
    }
    std::vector<CharRange> taken = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, kLastChar}};
    while (!names.empty()) {
      const auto c = static_cast<uint8_t>(names.front()[begun]);
      const auto same = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
        return static_cast<uint8_t>(name[begun]) != c;
      });
      const auto group = names.first(static_cast<size_t>(same - names.begin()));
      names = names.subspan(group.size());
      // Characters beyond ASCII at a fork are left out as a whole.
      if (c >= 0x7F) continue;
      taken.push_back({c, c});
      if (c == '"' || c == '\\' || c < 0x20) continue;
      ways.push_back(
          sequence({text(std::string(1, static_cast<char>(c))), other_text(group, begun + 1)}));
    }
    ways.push_back(sequence(
        {chars_except(std::move(taken)), repeat(rule(json_.plain), 0, kUnlimited), text("\"")}));
    return any(std::move(ways));
  }

  std::vector<Rule> rules_;
  JsonRules json_;
  std::map<const Json*, size_t> known_;
  const Json* root_ = nullptr;
  size_t depth_ = 0;  // of schemas that are being translated
};

}  // namespace

Result<std::shared_ptr<const Automaton>> json_schema(const Json& schema) {
  Translator translator;
  translator.set_root(schema);
  const size_t start = TRY(translator.rule_of(schema, "#"));
  return translator.compiled(start);
}

Result<std::shared_ptr<const Automaton>> json_object() {
  const Translator translator;
  return translator.compiled(translator.json().object);
}

Result<std::shared_ptr<const Automaton>> one_of_enclosed(const std::vector<Enclosed>& ways) {
  Translator translator;
  std::vector<Expression> all;
  for (const auto& [before, schema, after] : ways) {
    size_t value = translator.json().object;
    if (schema != nullptr) {
      translator.set_root(*schema);
      value = TRY(translator.rule_of(*schema, "#"));
    }
    all.push_back(sequence({text(before), rule(value), text(after)}));
  }
  const size_t start = translator.add("calls", any(std::move(all)));
  return translator.compiled(start);
}

}  // namespace diptych::grammar
