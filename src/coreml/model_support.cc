#include "coreml/model_support.h"

#include <algorithm>
#include <array>
#include <span>

#include "coreml/classes.h"
#include "coreml/proto_values.h"
#include "mil/opset.h"

namespace diptych::coreml {

namespace {

// ML Programs came with 6 (iOS 15); each later one has an opset of its own (mil/opset.h).
constexpr int32_t kMinSpecification = 6;
constexpr int32_t kMaxSpecification = 10;
constexpr int64_t kProgramVersion = 1;

// Enough for anybody; bounds the list a hostile file can make us build.
constexpr size_t kMaxItems = 1000;

constexpr std::array<std::string_view, 3> kStateOps = {"coreml_update_state", "read_state",
                                                       "write_state"};

struct KindName {
  uint32_t field;
  std::string_view name;
};

// The kinds of model but ML Program, by their field of Model.
constexpr std::array kKindNames = {
    KindName{200, "pipeline classifier"},
    KindName{201, "pipeline regressor"},
    KindName{202, "pipeline"},
    KindName{300, "GLM regressor"},
    KindName{301, "support vector regressor"},
    KindName{302, "tree ensemble regressor"},
    KindName{303, "neural network regressor"},
    KindName{304, "Bayesian probit regressor"},
    KindName{400, "GLM classifier"},
    KindName{401, "support vector classifier"},
    KindName{402, "tree ensemble classifier"},
    KindName{403, "neural network classifier"},
    KindName{404, "k-nearest-neighbours classifier"},
    KindName{500, "neural network"},
    KindName{501, "item similarity recommender"},
    KindName{555, "custom model"},
    KindName{556, "linked model"},
    KindName{560, "class confidence thresholding"},
    KindName{600, "one-hot encoder"},
    KindName{601, "imputer"},
    KindName{602, "feature vectorizer"},
    KindName{603, "dictionary vectorizer"},
    KindName{604, "scaler"},
    KindName{606, "categorical mapping"},
    KindName{607, "normalizer"},
    KindName{609, "array feature extractor"},
    KindName{610, "non-maximum suppression"},
    KindName{900, "identity"},
    KindName{2000, "text classifier"},
    KindName{2001, "word tagger"},
    KindName{2002, "vision feature print"},
    KindName{2003, "sound analysis preprocessing"},
    KindName{2004, "gazetteer"},
    KindName{2005, "word embedding"},
    KindName{2006, "audio feature print"},
    KindName{3000, "serialized model"},
};

// The kinds of features but arrays, by their field of FeatureType.
constexpr std::array kFeatureNames = {
    KindName{proto::FeatureType::kInt64, "an int64 feature"},
    KindName{proto::FeatureType::kDouble, "a double feature"},
    KindName{proto::FeatureType::kString, "a string feature"},
    KindName{proto::FeatureType::kImage, "an image feature"},
    KindName{proto::FeatureType::kDictionary, "a dictionary feature"},
    KindName{proto::FeatureType::kSequence, "a sequence feature"},
    KindName{proto::FeatureType::kState, "a state feature"},
};

std::string_view name_of(uint32_t field, std::span<const KindName> names,
                         std::string_view otherwise) {
  for (const KindName& entry : names) {
    if (entry.field == field) return entry.name;
  }
  return otherwise;
}

// A name as findings show it. They repeat names, so a hostile one must not be long.
std::string_view shown(std::string_view name) { return name.substr(0, 100); }

// Walks a model and collects what is found, prefixed with where it is.
class Finder {
 public:
  void model(const proto::Model& model) {
    const int32_t specification = model.specification_version;
    if (specification < kMinSpecification || specification > kMaxSpecification) {
      add("specification version {} (supported: {} to {})", specification, kMinSpecification,
          kMaxSpecification);
    }
    if (model.is_updatable) add("an updatable model");
    classifies_ = has_classifier(model.ml_program);
    const proto::ModelDescription& description = model.description;
    features(description, "the model");
    for (const auto& function : description.functions) {
      features(function, fmt::format("function \"{}\"", shown(function.name)));
    }
    if (model.ml_program.version != kProgramVersion) {
      add("program version {} (supported: {})", model.ml_program.version, kProgramVersion);
    }
    for (const auto& [name, function] : model.ml_program.functions) {
      this->function(function, fmt::format("function \"{}\"", shown(name)));
    }
  }

  std::vector<std::string> items;

 private:
  static bool has_classifier(const proto::Program& program) {
    for (const auto& [name, function] : program.functions) {
      for (const auto& [opset, block] : function.block_specializations) {
        for (const auto& op : block.operations) {
          if (op.type == kClassify) return true;
        }
      }
    }
    return false;
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (items.size() < kMaxItems) {
      items.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }

  // A ModelDescription or FunctionDescription.
  template <class Description>
  void features(const Description& description, const std::string& where) {
    for (const auto& feature : description.input) this->feature(feature, where + ", input");
    for (const auto& feature : description.output) {
      if (classifies_ && is_class_feature(feature)) continue;  // the reader looks at these
      this->feature(feature, where + ", output");
    }
    for (const auto& feature : description.state) {
      add("{}: state \"{}\"", where, shown(feature.name));
    }
  }

  void feature(const proto::FeatureDescription& feature, const std::string& where) {
    const auto found = [&](std::string_view what) {
      add("{} \"{}\": {}", where, shown(feature.name), what);
    };
    if (feature.type.type != proto::FeatureType::kMultiArray) {
      found(name_of(feature.type.type, kFeatureNames, "a feature of unknown kind"));
    }
    const uint32_t flexibility = feature.type.multi_array.flexibility;
    if (flexibility == proto::ArrayFeatureType::kEnumeratedShapes) found("enumerated shapes");
    if (flexibility == proto::ArrayFeatureType::kShapeRange) found("a range of shapes");
  }

  void function(const proto::Function& function, const std::string& where) {
    if (const auto opset = mil::opset_from_name(function.opset); !opset) {
      add("{}: {}", where, opset.error().message);
    }
    for (const auto& input : function.inputs) {
      value_type(input, [&] { return where + ", input"; });
    }
    const auto block = function.block_specializations.find(function.opset);
    if (block == function.block_specializations.end()) return;
    for (const auto& op : block->second.operations) operation(op, where);
  }

  void operation(const proto::Operation& op, const std::string& function) {
    const auto where = [&] {
      return fmt::format("{}, operation {} \"{}\"", function, shown(op.type),
                         op.outputs.empty() ? std::string_view() : shown(op.outputs[0].name));
    };
    if (op.has_blocks) add("{}: nested blocks", where());
    if (std::find(kStateOps.begin(), kStateOps.end(), op.type) != kStateOps.end()) {
      add("{}: state", where());
    }
    for (const auto& output : op.outputs) {
      if (op.type == kClassify) continue;
      value_type(output, [&] { return where() + ", output"; });
    }
    for (const auto& attribute : op.attributes) value(attribute.second, where);
    for (const auto& input : op.inputs) {
      for (const auto& binding : input.second.arguments) {
        if (const auto* bound = std::get_if<proto::Value>(&binding.binding)) value(*bound, where);
      }
    }
  }

  // `where()` makes the text when something is found.
  template <class Where>
  void value_type(const proto::NamedValueType& value, const Where& where) {
    const std::string_view kind = non_tensor_kind(value.type);
    if (!kind.empty()) add("{} \"{}\": type {}", where(), shown(value.name), kind);
    if (has_unknown_dimension(value.type)) {
      add("{} \"{}\": a dimension that is not fixed", where(), shown(value.name));
    }
  }

  template <class Where>
  void value(const proto::Value& value, const Where& where) {
    const auto* blob = std::get_if<proto::BlobFileValue>(&value.value);
    if (blob != nullptr && blob->file_name != kWeightFileName) {
      add("{}: constant in the file \"{}\" (supported: {})", where(), shown(blob->file_name),
          kWeightFileName);
    }
  }

  bool classifies_ = false;  // some function does
};

}  // namespace

Status check_supported(const proto::Model& model) {
  if (model.kind != proto::Model::kMlProgram) {
    const std::string_view name = name_of(model.kind, kKindNames, "");
    return unsupported("a Core ML model {}, expected an ML Program",
                       name.empty() ? "of unknown kind" : fmt::format("of kind \"{}\"", name));
  }
  Finder finder;
  finder.model(model);
  if (finder.items.empty()) return {};
  auto error = unsupported("the Core ML model uses what diptych does not support:");
  error.value().items = std::move(finder.items);
  return error;
}

}  // namespace diptych::coreml
