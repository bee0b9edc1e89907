#include "coreml/proto_reader.h"

#include "coreml/proto_program_reader.h"

namespace diptych::coreml {

namespace proto {

static void read(pbf_reader in, ArrayFeatureType& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(ArrayFeatureType::kShape):
        append(out.shape, in.get_packed_int64());
        break;
      case number(ArrayFeatureType::kShape):
        out.shape.push_back(in.get_int64());
        break;
      case number(ArrayFeatureType::kDataType):
        out.data_type = in.get_int32();
        break;
      case nested(ArrayFeatureType::kEnumeratedShapes):
      case nested(ArrayFeatureType::kShapeRange):
        out.flexibility = in.tag();
        in.skip();
        break;
      case number(ArrayFeatureType::kIntDefault):
        out.default_value = in.get_int32();
        break;
      case fixed32(ArrayFeatureType::kFloatDefault):
        out.default_value = in.get_float();
        break;
      case fixed64(ArrayFeatureType::kDoubleDefault):
        out.default_value = in.get_double();
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, FeatureType& out) {
  while (in.next()) {
    if (in.tag_and_type() == number(FeatureType::kIsOptional)) {
      out.is_optional = flag(in);
      continue;
    }
    const uint32_t field = in.tag();
    if (field > FeatureType::kState || in.wire_type() != Wire::length_delimited) {
      in.skip();
      continue;
    }
    if (out.type != field) out.multi_array = {};
    out.type = field;
    if (field == FeatureType::kMultiArray) {
      read(in.get_message(), out.multi_array);
    } else {
      in.skip();
    }
  }
}

static void read(pbf_reader in, FeatureDescription& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(FeatureDescription::kName):
        out.name = text(in);
        break;
      case nested(FeatureDescription::kType):
        read(in.get_message(), out.type);
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, FunctionDescription& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(FunctionDescription::kName):
        out.name = text(in);
        break;
      case nested(FunctionDescription::kInput):
        read(in.get_message(), out.input.emplace_back());
        break;
      case nested(FunctionDescription::kOutput):
        read(in.get_message(), out.output.emplace_back());
        break;
      case nested(FunctionDescription::kState):
        read(in.get_message(), out.state.emplace_back());
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, Metadata& out) {
  while (in.next(Metadata::kUserDefined, Wire::length_delimited)) {
    read_entry(in.get_message(), out.user_defined);
  }
}

static void read(pbf_reader in, ModelDescription& out) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case nested(ModelDescription::kInput):
        read(in.get_message(), out.input.emplace_back());
        break;
      case nested(ModelDescription::kOutput):
        read(in.get_message(), out.output.emplace_back());
        break;
      case nested(ModelDescription::kState):
        read(in.get_message(), out.state.emplace_back());
        break;
      case nested(ModelDescription::kFunctions):
        read(in.get_message(), out.functions.emplace_back());
        break;
      case nested(ModelDescription::kDefaultFunctionName):
        out.default_function_name = text(in);
        break;
      case nested(ModelDescription::kMetadata):
        read(in.get_message(), out.metadata);
        break;
      default:
        in.skip();
    }
  }
}

static void read(pbf_reader in, Model& out, FunctionEntries& functions) {
  while (in.next()) {
    switch (in.tag_and_type()) {
      case number(Model::kSpecificationVersion):
        out.specification_version = in.get_int32();
        break;
      case nested(Model::kDescription):
        read(in.get_message(), out.description);
        break;
      case number(Model::kIsUpdatable):
        out.is_updatable = flag(in);
        break;
      case nested(Model::kMlProgram):
        out.kind = Model::kMlProgram;
        read(in.get_message(), out.ml_program, functions);
        break;
      default:
        if (in.tag() >= Model::kFirstKind) out.kind = in.tag();
        in.skip();
    }
  }
}

}  // namespace proto

Result<proto::Model> read_proto(Bytes mlmodel, ThreadPool* pool) {
  proto::Model model;
  proto::FunctionEntries functions(pool);
  try {
    read({reinterpret_cast<const char*>(mlmodel.data()), mlmodel.size()}, model, functions);
    functions.read_all(model.ml_program.functions);
  } catch (const protozero::exception& error) {
    return invalid_data("not a Core ML model: malformed or cut off ({})", error.what());
  }
  return model;
}

}  // namespace diptych::coreml
