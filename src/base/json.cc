#include "base/json.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/in_quotes.h"
#include "base/printable.h"

namespace diptych {

namespace {

constexpr int kMaxDepth = 64;

// Builds a Json through the SAX interface, whose callbacks let us stop at depth and duplicates.
class Builder {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(number_integer_t value) { return put(value); }
  bool number_unsigned(number_unsigned_t value) { return put(value); }
  bool number_float(number_float_t value, const string_t&) { return put(value); }
  bool string(string_t& value) { return put(std::move(value)); }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return push(Json::object()); }
  bool start_array(std::size_t) { return push(Json::array()); }
  bool end_object() {
    // All at once: a vocabulary has many keys, and a search for each takes a fifth of the time that
    // a small model takes to its first token.
    names_.clear();
    for (const auto& member : open_.back()->get_ref<const Json::object_t&>()) {
      names_.push_back(member.first);
    }
    std::sort(names_.begin(), names_.end());
    const auto twice = std::adjacent_find(names_.begin(), names_.end());
    if (twice != names_.end()) {
      error = fmt::format("key {} occurs twice in one object", in_quotes(*twice));
      return false;
    }
    return pop();
  }
  bool end_array() { return pop(); }
  bool key(string_t& value) {
    key_ = std::move(value);
    return true;
  }
  // `position` counts the bytes read, the offending one or the end included.
  bool parse_error(std::size_t position, const std::string& last_token,
                   const nlohmann::detail::exception&) {
    error = fmt::format("malformed JSON at offset {}, near {}", position - (position > 0),
                        dump_json(Json(last_token.substr(0, 20))));
    return false;
  }

  Json root;
  std::string error;

 private:
  template <class T>
  bool put(T&& value) {
    place(Json(std::forward<T>(value)));
    return true;
  }
  Json* place(Json value) {
    if (open_.empty()) {
      root = std::move(value);
      return &root;
    }
    Json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    // Keys are unique here, so append without ordered_map's linear search.
    auto& members = parent.get_ref<Json::object_t&>();
    static_cast<std::vector<Json::object_t::value_type>&>(members).emplace_back(key_,
                                                                                std::move(value));
    return &members.back().second;
  }
  bool push(Json container) {
    if (open_.size() >= kMaxDepth) {
      error = fmt::format("nesting deeper than {} levels", kMaxDepth);
      return false;
    }
    open_.push_back(place(std::move(container)));
    return true;
  }
  bool pop() {
    open_.pop_back();
    return true;
  }

  std::vector<Json*> open_;
  std::vector<std::string_view> names_;  // of the object that ends
  std::string key_;
};

tl::unexpected<Error> wrong_kind(std::string_view key, std::string_view expected,
                                 const Json& found) {
  return invalid_data("\"{}\": expected {}, found {}", key, expected,
                      one_line(dump_json(found), 60));
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (text.empty()) return invalid_data("expected JSON, found an empty text");
  Builder builder;
  if (!Json::sax_parse(text, &builder)) {
    return invalid_data("{}", builder.error.empty() ? "malformed JSON" : builder.error);
  }
  return std::move(builder.root);
}

Result<const Json*> json_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return wrong_kind(key, "an object around it", object);
  auto found = object.find(std::string(key));
  if (found == object.end()) return not_found("key \"{}\" is missing", key);
  return &*found;
}

Result<std::string> json_string(const Json& object, std::string_view key) {
  const Json* value = TRY(json_member(object, key));
  if (!value->is_string()) return wrong_kind(key, "a string", *value);
  return value->get<std::string>();
}

Result<int64_t> json_int(const Json& object, std::string_view key) {
  const Json* value = TRY(json_member(object, key));
  if (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX) {
    return wrong_kind(key, "a 64-bit integer", *value);
  }
  if (value->is_number_integer()) return value->get<int64_t>();
  if (value->is_number_float()) {
    const double number = value->get<double>();
    if (number >= -0x1p53 && number <= 0x1p53 &&
        number == static_cast<double>(static_cast<int64_t>(number))) {
      return static_cast<int64_t>(number);
    }
  }
  return wrong_kind(key, "an integer", *value);
}

Result<double> json_number(const Json& object, std::string_view key) {
  const Json* value = TRY(json_member(object, key));
  if (!value->is_number()) return wrong_kind(key, "a number", *value);
  return value->get<double>();
}

Result<bool> json_bool(const Json& object, std::string_view key) {
  const Json* value = TRY(json_member(object, key));
  if (!value->is_boolean()) return wrong_kind(key, "true or false", *value);
  return value->get<bool>();
}

std::shared_ptr<const Json> shared_json(Json value) {
  return value.is_null() ? nullptr : std::make_shared<const Json>(std::move(value));
}

Result<std::shared_ptr<const Json>> parse_shared_json(std::string_view text) {
  return shared_json(TRY(parse_json(text)));
}

std::string json_quoted(std::string_view text, bool ascii) {
  const Json value = std::string(text);
  return ascii ? value.dump(-1, ' ', true, Json::error_handler_t::replace) : dump_json(value);
}

std::string dump_json(const Json& value, int indent) {
  const std::string text = value.dump(indent, ' ', false, Json::error_handler_t::replace);
  // The library escapes C0 alone; DEL and C1 (U+0080 to U+009F) act on terminals too. They occur in
  // strings only.
  std::string escaped;
  size_t done = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte != 0x7F && !c1) continue;
    escaped.append(text, done, i - done);
    if (c1) ++i;
    escaped += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[i]));
    done = i + 1;
  }
  return done == 0 ? text : escaped + text.substr(done);
}

}  // namespace diptych
