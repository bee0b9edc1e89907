#include "pte/dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json_fwd.h"
#include "base/utf8.h"
#include "pte/constant_method.h"

namespace diptych::pte {

namespace {

constexpr size_t kLongestList = 16;
constexpr size_t kLongestText = 60;

// "a, b, c" of at most kLongestList items.
template <class Items, class Describe>
std::string join(const Items& items, Describe describe) {
  std::string text;
  size_t count = 0;
  for (const auto& item : items) {
    if (count > 0) text += ", ";
    if (count++ == kLongestList) return text + fmt::format("… {} in all", std::size(items));
    text += describe(item);
  }
  return text;
}

// Text in quotes; long texts are cut, other bytes only counted.
std::string shorten(std::string_view text) {
  const bool printable = is_valid_utf8(text) && std::none_of(text.begin(), text.end(), [](char c) {
                           return static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t';
                         });
  if (!printable) return fmt::format("({} bytes)", text.size());
  if (text.size() <= kLongestText) return json_quoted(text);
  return fmt::format("{}… ({} bytes)", json_quoted(text.substr(0, kLongestText)),
                     text.size());
}

std::string value_name(int64_t index) { return fmt::format("%{}", index); }

std::string text_of(const Tensor& tensor) {
  std::string text(name(tensor.scalar_type));
  if (!tensor.sizes.empty()) text += diptych::to_string(tensor.sizes);
  if (tensor.dynamism != ShapeDynamism::Static) text += " dynamic";
  if (!std::is_sorted(tensor.dim_order.begin(), tensor.dim_order.end())) {
    text += fmt::format(" order({})", fmt::join(tensor.dim_order, ","));
  }
  if (tensor.is_external()) {
    text += fmt::format(" external {}", shorten(tensor.extra->qualified_name));
  } else if (tensor.data > 0) {
    text += fmt::format(" {} {}", tensor.allocation ? "starts as state" : "constant", tensor.data);
  }
  if (tensor.allocation) {
    text += fmt::format(" arena {}+{}", tensor.allocation->memory_id, tensor.allocation->offset);
  }
  return text;
}
std::string text_of(None) { return "none"; }
std::string text_of(int64_t value) { return fmt::format("{}", value); }
std::string text_of(bool value) { return fmt::format("{}", value); }
std::string text_of(double value) { return fmt::format("{}", value); }
std::string text_of(const std::string& text) { return shorten(text); }
std::string text_of(const IntList& list) {
  return fmt::format("ints[{}]", join(list.items, value_name));
}
std::string text_of(const DoubleList& list) {
  return fmt::format("[{}]", join(list.items, [](double item) { return text_of(item); }));
}
std::string text_of(const BoolList& list) {
  return fmt::format("[{}]", join(list.items, [](bool item) { return text_of(item); }));
}
std::string text_of(const TensorList& list) {
  return fmt::format("tensors[{}]", join(list.items, value_name));
}
std::string text_of(const OptionalTensorList& list) {
  return fmt::format("tensors[{}]", join(list.items, [](int32_t item) {
                       return item < 0 ? std::string("none") : value_name(item);
                     }));
}

std::string arguments(const std::vector<int32_t>& args) {
  return fmt::format("({})", join(args, value_name));
}
std::string call_text(const Method& method, const KernelCall& call) {
  const Operator& op = method.operators[static_cast<size_t>(call.op)];
  return fmt::format("{}{}{}{}", op.name, op.overload.empty() ? "" : ".", op.overload,
                     arguments(call.args));
}
std::string call_text(const Method&, const DelegateCall& call) {
  return fmt::format("delegate {}{}", call.delegate, arguments(call.args));
}
std::string call_text(const Method&, const MoveCall& call) {
  return fmt::format("%{} = %{}", call.to, call.from);
}
std::string call_text(const Method&, const JumpFalseCall& call) {
  return fmt::format("unless %{} jump to {}", call.condition, call.destination);
}
std::string call_text(const Method&, const FreeCall& call) {
  return fmt::format("free %{}", call.value);
}

// Appends a line of formatted text.
template <class... Args>
void line(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  out += '\n';
}

void dump_layout(std::string& out, const Layout& layout) {
  line(out, "file of {} bytes, program of {}", layout.file_size, layout.program_size);
  for (size_t i = 0; i < layout.segments.size(); ++i) {
    line(out, "  segment {}: {} bytes at {}", i, layout.segments[i].size,
         layout.segments[i].offset);
  }
}

void dump_delegate(std::string& out, const Delegate& delegate, size_t index) {
  line(out, "  delegate {}: {}, {} bytes; {}", index, delegate.backend, delegate.processed.size(),
       join(delegate.compile_specs, [](const CompileSpec& spec) {
         return fmt::format("{}={}", spec.key, shorten(spec.value));
       }));
}

// Which values are inputs or outputs.
std::vector<bool> interface_values(const Method& method) {
  std::vector<bool> listed(method.values.size());
  for (const int32_t input : method.inputs) listed[static_cast<size_t>(input)] = true;
  for (const int32_t output : method.outputs) listed[static_cast<size_t>(output)] = true;
  return listed;
}

void dump_method(std::string& out, const Method& method) {
  line(out, "method {}: {} values, arenas [{}]", method.name, method.values.size(),
       fmt::join(method.arena_sizes, ", "));
  for (const int32_t input : method.inputs) line(out, "  in  {}", describe(method, input));
  for (const int32_t output : method.outputs) line(out, "  out {}", describe(method, output));
  const std::vector<bool> listed = interface_values(method);
  for (size_t i = 0; i < method.values.size(); ++i) {
    if (!listed[i]) line(out, "  val {}", describe(method, static_cast<int32_t>(i)));
  }
  for (size_t i = 0; i < method.delegates.size(); ++i) dump_delegate(out, method.delegates[i], i);
  for (size_t i = 0; i < method.instructions.size(); ++i) {
    line(out, "  {:>3} {}", i,
         std::visit([&](const auto& call) { return call_text(method, call); },
                    method.instructions[i]));
  }
}

void dump_constant(std::string& out, const Program& program, const Method& method) {
  const auto values = constant_values(program, method);
  if (!values) return line(out, "constant {}: {}", method.name, values.error().to_string());
  line(out, "constant {} = {}", method.name, join(*values, [&](const ConstantValue& value) {
         std::string text = to_string(value);
         const auto* tensor = std::get_if<ConstantTensor>(&value);
         if (tensor == nullptr) return text;
         if (const auto ints = to_ints(*tensor)) {
           text += fmt::format(" {{{}}}", join(*ints, [](int64_t i) { return text_of(i); }));
         }
         return text;
       }));
}

}  // namespace

std::string describe(const Method& method, int32_t index) {
  return fmt::format("%{}: {}", index,
                     std::visit([](const auto& value) { return text_of(value); },
                                method.values[static_cast<size_t>(index)]));
}

std::string dump(const Program& program) {
  std::string out;
  dump_layout(out, program.layout);
  for (const NamedData& entry : program.named_data) {
    line(out, "named data {}: {} bytes", shorten(entry.key), entry.data.size());
  }
  for (const Method& method : program.methods) {
    if (is_constant_method(method)) {
      dump_constant(out, program, method);
    } else {
      dump_method(out, method);
    }
  }
  return out;
}

}  // namespace diptych::pte
