#include "coreml/proto_value_reader.h"

namespace diptych::coreml::proto {

// The alternative of a oneof at `index`, made the current one.
template <size_t index, class Oneof>
static auto& select_at(Oneof& oneof) {
  if (oneof.index() != index) oneof.template emplace<index>();
  return std::get<index>(oneof);
}

static void read(pbf_reader in, Dimension& out) {
  while (in.next()) {
    if (in.tag_and_type() != nested(Dimension::kConstant)) {
      if (in.tag() == Dimension::kUnknown) out.size.reset();
      in.skip();
      continue;
    }
    pbf_reader constant = in.get_message();
    if (!out.size) out.size = 0;
    while (constant.next()) {
      if (constant.tag_and_type() == number(Dimension::kSize)) {
        out.size = constant.get_uint64();
      } else {
        constant.skip();
      }
    }
  }
}

static void read(pbf_reader in, TensorType& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case number(TensorType::kDataType):
        out.data_type = in.get_int32();
        break;
      case number(TensorType::kRank):
        out.rank = in.get_int64();
        break;
      case nested(TensorType::kDimensions):
        read(in.get_message(), out.dimensions.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, ValueType& out) {
  while (in.next()) {
    const uint32_t field = in.tag();
    if (field > ValueType::kState || in.wire_type() != Wire::length_delimited) {
      in.skip();
      continue;
    }
    if (out.type != field) out.tensor = {};
    out.type = field;
    if (field == ValueType::kTensor) {
      read(in.get_message(), out.tensor);
    } else {
      in.skip();
    }
  }
}

void read(pbf_reader in, NamedValueType& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(NamedValueType::kName):
        out.name = text(in);
        break;
      case nested(NamedValueType::kType):
        read(in.get_message(), out.type);
        break;
      default:
        in.skip();
    }
  }
}

// The messages of TensorValue have one field, repeated but for raw. Numbers come packed or one by
// one.
static void read_elements(pbf_reader in, TensorValue::Floats& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(TensorValue::kValues):
        append(out, in.get_packed_float());
        break;
      case fixed32(TensorValue::kValues):
        out.push_back(in.get_float());
        break;
      default:
        in.skip();
    }
  }
}

static void read_elements(pbf_reader in, TensorValue::Doubles& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(TensorValue::kValues):
        append(out, in.get_packed_double());
        break;
      case fixed64(TensorValue::kValues):
        out.push_back(in.get_double());
        break;
      default:
        in.skip();
    }
  }
}

// Ints, long ints and bools.
template <class T>
static void read_elements(pbf_reader in, std::vector<T>& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(TensorValue::kValues):
        if constexpr (sizeof(T) == 1) {
          append(out, in.get_packed_bool());
        } else {
          append(out, in.get_packed_int64());
        }
        break;
      case number(TensorValue::kValues):
        out.push_back(sizeof(T) == 1 ? static_cast<T>(flag(in)) : static_cast<T>(in.get_int64()));
        break;
      default:
        in.skip();
    }
  }
}

static void read_elements(pbf_reader in, TensorValue::Strings& out) {
  while (in.next(TensorValue::kValues, Wire::length_delimited)) out.push_back(text(in));
}

static void read_elements(pbf_reader in, TensorValue::Raw& out) {
  while (in.next(TensorValue::kValues, Wire::length_delimited)) out = text(in);
}

static void read(pbf_reader in, TensorValue& out) {
  const auto elements = [&]<uint32_t field>() {
    read_elements(in.get_message(), select_at<field>(out.value));
  };
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(TensorValue::kFloats):
        elements.operator()<TensorValue::kFloats>();
        break;
      case nested(TensorValue::kInts):
        elements.operator()<TensorValue::kInts>();
        break;
      case nested(TensorValue::kBools):
        elements.operator()<TensorValue::kBools>();
        break;
      case nested(TensorValue::kStrings):
        elements.operator()<TensorValue::kStrings>();
        break;
      case nested(TensorValue::kLongInts):
        elements.operator()<TensorValue::kLongInts>();
        break;
      case nested(TensorValue::kDoubles):
        elements.operator()<TensorValue::kDoubles>();
        break;
      case nested(TensorValue::kRaw):
        elements.operator()<TensorValue::kRaw>();
        break;
      default:
        in.skip();
    }
  }
}

// The tensor that an entry of a list holds; nothing where it is something else.
static void read_list_entry(pbf_reader in, TensorValue& out) {
  while (in.next(Value::kImmediate, Wire::length_delimited)) {
    pbf_reader immediate = in.get_message();
    while (immediate.next(ImmediateValue::kTensor, Wire::length_delimited)) {
      read(immediate.get_message(), out);
    }
  }
}

static void read_list(pbf_reader in, std::vector<TensorValue>& out) {
  while (in.next(ImmediateValue::kEntries, Wire::length_delimited)) {
    read_list_entry(in.get_message(), out.emplace_back());
  }
}

static void read(pbf_reader in, ImmediateValue& out) {
  while (in.next()) {
    const uint32_t field = in.tag();
    if (field > ImmediateValue::kDictionary || in.wire_type() != Wire::length_delimited) {
      in.skip();
      continue;
    }
    if (out.value != field) {
      out.tensor = {};
      out.list.clear();
    }
    out.value = field;
    if (field == ImmediateValue::kTensor) {
      read(in.get_message(), out.tensor);
    } else if (field == ImmediateValue::kList) {
      read_list(in.get_message(), out.list);
    } else {
      in.skip();
    }
  }
}

static void read(pbf_reader in, BlobFileValue& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(BlobFileValue::kFileName):
        out.file_name = text(in);
        break;
      case number(BlobFileValue::kOffset):
        out.offset = in.get_uint64();
        break;
      default:
        in.skip();
    }
  }
}

void read(pbf_reader in, Value& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(Value::kType):
        read(in.get_message(), out.type);
        break;
      case nested(Value::kImmediate):
        read(in.get_message(), select<ImmediateValue>(out.value));
        break;
      case nested(Value::kBlobFile):
        read(in.get_message(), select<BlobFileValue>(out.value));
        break;
      default:
        in.skip();
    }
  }
}

}  // namespace diptych::coreml::proto
