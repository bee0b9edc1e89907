#include "coreml/model_support.h"

#include <algorithm>
#include <array>

#include "coreml/proto_types.h"
#include "coreml/proto_values.h"

namespace diptych::coreml {

namespace {

// ML Programs came with 6 (iOS 15); 9 is iOS 18, which introduced the opset below.
constexpr int32_t kMinSpecification = 6;
constexpr int32_t kMaxSpecification = 10;
constexpr int64_t kProgramVersion = 1;
constexpr std::string_view kOpset = "CoreML8";

// Enough for anybody; bounds the list a hostile file can make us build.
constexpr size_t kMaxItems = 1000;

constexpr std::array<std::string_view, 3> kStateOps = {"coreml_update_state", "read_state",
                                                       "write_state"};

std::string_view kind_name(proto::Model::KindCase kind) {
  using proto::Model;
  switch (kind) {
    case Model::kMlProgram:
      return "ML Program";
    case Model::kPipelineClassifier:
      return "pipeline classifier";
    case Model::kPipelineRegressor:
      return "pipeline regressor";
    case Model::kPipeline:
      return "pipeline";
    case Model::kGlmRegressor:
      return "GLM regressor";
    case Model::kSupportVectorRegressor:
      return "support vector regressor";
    case Model::kTreeEnsembleRegressor:
      return "tree ensemble regressor";
    case Model::kNeuralNetworkRegressor:
      return "neural network regressor";
    case Model::kBayesianProbitRegressor:
      return "Bayesian probit regressor";
    case Model::kGlmClassifier:
      return "GLM classifier";
    case Model::kSupportVectorClassifier:
      return "support vector classifier";
    case Model::kTreeEnsembleClassifier:
      return "tree ensemble classifier";
    case Model::kNeuralNetworkClassifier:
      return "neural network classifier";
    case Model::kKNearestNeighborsClassifier:
      return "k-nearest-neighbours classifier";
    case Model::kNeuralNetwork:
      return "neural network";
    case Model::kItemSimilarityRecommender:
      return "item similarity recommender";
    case Model::kCustomModel:
      return "custom model";
    case Model::kLinkedModel:
      return "linked model";
    case Model::kClassConfidenceThresholding:
      return "class confidence thresholding";
    case Model::kOneHotEncoder:
      return "one-hot encoder";
    case Model::kImputer:
      return "imputer";
    case Model::kFeatureVectorizer:
      return "feature vectorizer";
    case Model::kDictVectorizer:
      return "dictionary vectorizer";
    case Model::kScaler:
      return "scaler";
    case Model::kCategoricalMapping:
      return "categorical mapping";
    case Model::kNormalizer:
      return "normalizer";
    case Model::kArrayFeatureExtractor:
      return "array feature extractor";
    case Model::kNonMaximumSuppression:
      return "non-maximum suppression";
    case Model::kIdentity:
      return "identity";
    case Model::kTextClassifier:
      return "text classifier";
    case Model::kWordTagger:
      return "word tagger";
    case Model::kVisionFeaturePrint:
      return "vision feature print";
    case Model::kSoundAnalysisPreprocessing:
      return "sound analysis preprocessing";
    case Model::kGazetteer:
      return "gazetteer";
    case Model::kWordEmbedding:
      return "word embedding";
    case Model::kAudioFeaturePrint:
      return "audio feature print";
    case Model::kSerializedModel:
      return "serialized model";
    case Model::KIND_NOT_SET:
      break;
  }
  return "of unknown kind";
}

std::string_view feature_kind(const proto::FeatureType& type) {
  using proto::FeatureType;
  switch (type.type_case()) {
    case FeatureType::kInt64:
      return "an int64 feature";
    case FeatureType::kDouble:
      return "a double feature";
    case FeatureType::kString:
      return "a string feature";
    case FeatureType::kImage:
      return "an image feature";
    case FeatureType::kDictionary:
      return "a dictionary feature";
    case FeatureType::kSequence:
      return "a sequence feature";
    case FeatureType::kState:
      return "a state feature";
    case FeatureType::kMultiArray:
      return {};
    case FeatureType::TYPE_NOT_SET:
      break;
  }
  return "a feature of unknown kind";
}

// A name as findings show it. They repeat names, so a hostile one must not be long.
std::string_view shown(std::string_view name) { return name.substr(0, 100); }

// Walks a model and collects what is found, prefixed with where it is.
class Finder {
 public:
  void model(const proto::Model& model) {
    const int32_t specification = model.specification_version();
    if (specification < kMinSpecification || specification > kMaxSpecification) {
      add("specification version {} (supported: {} to {})", specification, kMinSpecification,
          kMaxSpecification);
    }
    if (model.is_updatable()) add("an updatable model");
    const proto::ModelDescription& description = model.description();
    features(description, "the model");
    for (const auto& function : description.functions()) {
      features(function, fmt::format("function \"{}\"", shown(function.name())));
    }
    if (model.ml_program().version() != kProgramVersion) {
      add("program version {} (supported: {})", model.ml_program().version(), kProgramVersion);
    }
    // Sorted: the order of a protobuf map is not deterministic.
    std::vector<std::string> names;
    for (const auto& entry : model.ml_program().functions()) names.push_back(entry.first);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      function(model.ml_program().functions().at(name),
               fmt::format("function \"{}\"", shown(name)));
    }
  }

  std::vector<std::string> items;

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (items.size() < kMaxItems) {
      items.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
  }

  // A ModelDescription or FunctionDescription.
  template <class Description>
  void features(const Description& description, const std::string& where) {
    for (const auto& feature : description.input()) this->feature(feature, where + ", input");
    for (const auto& feature : description.output()) this->feature(feature, where + ", output");
    for (const auto& feature : description.state()) {
      add("{}: state \"{}\"", where, shown(feature.name()));
    }
  }

  void feature(const proto::FeatureDescription& feature, const std::string& where) {
    const std::string_view kind = feature_kind(feature.type());
    const proto::ArrayFeatureType& array = feature.type().multi_array();
    if (!kind.empty()) add("{} \"{}\": {}", where, shown(feature.name()), kind);
    if (array.has_enumerated_shapes())
      add("{} \"{}\": enumerated shapes", where, shown(feature.name()));
    if (array.has_shape_range()) add("{} \"{}\": a range of shapes", where, shown(feature.name()));
    if (feature.type().is_optional())
      add("{} \"{}\": an optional feature", where, shown(feature.name()));
  }

  void function(const proto::Function& function, const std::string& where) {
    if (function.opset() != kOpset) {
      add("{}: opset \"{}\" (supported: {})", where, shown(function.opset()), kOpset);
    }
    for (const auto& input : function.inputs()) value_type(input, where + ", input");
    const auto block = function.block_specializations().find(function.opset());
    if (block == function.block_specializations().end()) return;
    for (const auto& op : block->second.operations()) operation(op, where);
  }

  void operation(const proto::Operation& op, const std::string& function) {
    const std::string where =
        fmt::format("{}, operation {} \"{}\"", function, shown(op.type()),
                    op.outputs().empty() ? std::string_view() : shown(op.outputs(0).name()));
    if (!op.blocks().empty()) add("{}: nested blocks", where);
    if (std::find(kStateOps.begin(), kStateOps.end(), op.type()) != kStateOps.end()) {
      add("{}: state", where);
    }
    for (const auto& output : op.outputs()) value_type(output, where + ", output");
    for (const auto& attribute : op.attributes()) value(attribute.second, where);
    for (const auto& input : op.inputs()) {
      for (const auto& binding : input.second.arguments()) value(binding.value(), where);
    }
  }

  void value_type(const proto::NamedValueType& value, const std::string& where) {
    const std::string_view kind = non_tensor_kind(value.type());
    if (!kind.empty()) add("{} \"{}\": type {}", where, shown(value.name()), kind);
    if (has_unknown_dimension(value.type())) {
      add("{} \"{}\": a dimension that is not fixed", where, shown(value.name()));
    }
  }

  void value(const proto::Value& value, const std::string& where) {
    if (value.has_blob_file() && value.blob_file().file_name() != kWeightFileName) {
      add("{}: constant in the file \"{}\" (supported: {})", where,
          shown(value.blob_file().file_name()), kWeightFileName);
    }
  }
};

}  // namespace

Status check_supported(const proto::Model& model) {
  if (!model.has_ml_program()) {
    return unsupported("a Core ML model {}, expected an ML Program",
                       model.kind_case() == proto::Model::KIND_NOT_SET
                           ? std::string(kind_name(model.kind_case()))
                           : fmt::format("of kind \"{}\"", kind_name(model.kind_case())));
  }
  Finder finder;
  finder.model(model);
  if (finder.items.empty()) return {};
  auto error = unsupported("the Core ML model uses what diptych does not support:");
  error.value().items = std::move(finder.items);
  return error;
}

}  // namespace diptych::coreml
