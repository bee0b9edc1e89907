// The static-attention contract: what the methods of an exported language model have in common
// and how they differ, as data. Exporter, calibration and generation all take it from here.
//
// A method evaluates T tokens against KV caches that the caller owns:
//   inputs   tokens int32[1,T]; for each layer class a mask [1,T,C+T]; for each RoPE table cos and
//            sin [T,w]; K caches of all layers [1,H,C,d], then V caches; where only one position's
//            logits come out, last_valid_token_pos int64[1]
//   outputs  logits [1,T,V] or [1,1,V]; new K of all layers [1,H,T,d] (after RoPE), then new V
// with T the method's tokens, C the cache length of the layer's class, H the KV heads, d the head
// dimension, w the width of RoPE rows, V the vocabulary.
// Source: ExecuTorch, examples/apple/coreml/llama (exporter and runners).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/type.h"

namespace diptych::contract {

// What a method is for. A new role is a row of kRoles.
enum class Role : uint8_t {
  Single,   // the only one of its file: serves for prompts, decoding and verification
  Decode,   // one token at a time
  Prefill,  // prompts
  Verify,   // several tokens and the logits after each, to check drafts
};

struct RoleRow {
  Role role;
  std::string_view method;     // the method's name
  std::string_view also;       // another name that is read, or nothing
  std::string_view described;  // how constants name it in files with several methods
  bool all_logits;             // what the exporter gives it
};
inline constexpr RoleRow kRoles[] = {
    {Role::Single, "forward", "", "", true},
    {Role::Decode, "forward", "decode", "decode", false},
    {Role::Prefill, "prefill", "", "prefill", false},
    {Role::Verify, "verify", "", "verify", true},
};
const RoleRow& row_of(Role role);

// The role of a method with this name in a file with several methods; nothing for methods that are
// none of a language model's. "prefill_512" is a Prefill as well: a number tells methods of one
// role apart.
std::optional<Role> role_of(std::string_view method);

struct Method {
  std::string name;
  Role role = Role::Single;
  int64_t tokens = 1;       // T
  bool all_logits = false;  // after each of the T tokens, else after the one that is asked for
};
// The method of a role as the exporter writes it: the one of the role's own name, and a further one
// of the role, which its number of tokens tells apart ("prefill_512").
Method method_of(Role role, int64_t tokens);
Method further_method_of(Role role, int64_t tokens);

// Methods that compute with an adapter beside the model's weights are those of the model, under
// names of their own: "forward__french", "prefill_512__french".
struct AdaptedName {
  std::string_view method, adapter;  // no adapter: empty
};
AdaptedName adapted_name(std::string_view method);
std::string with_adapter(std::string_view method, std::string_view adapter);
// Names of adapters are letters, digits and single underscores, of which the first is a letter and
// the last none: functions of Core ML are named so.
bool is_adapter_name(std::string_view name);

// Layers whose caches and masks are alike. Classes of one model differ in their cache lengths. What
// layers of a class may differ in is by layer: their RoPE tables.
struct LayerClass {
  int64_t cache_len = 0;          // C
  std::optional<int64_t> window;  // positions that a token sees, itself included; nothing: all
};

// What all methods of a file share.
struct Model {
  int64_t vocab_size = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t rope_width = 0;
  DType dtype = DType::F16;  // of masks, RoPE rows, caches and logits
  // What a mask holds for a column that a token does not see; 0 for the others.
  float hidden = -std::numeric_limits<float>::infinity();
  std::vector<LayerClass> classes;
  std::vector<size_t> class_of_layer;
  std::vector<std::optional<size_t>> rope_of_layer;  // which of the tables; nothing: no RoPE

  size_t layers() const { return class_of_layer.size(); }
  size_t rope_tables() const;  // at least one, and each is of some layer
  const LayerClass& class_of(size_t layer) const { return classes[class_of_layer[layer]]; }
};

// A model whose layers are all of one class and use one RoPE table.
Model uniform_model(size_t layers, int64_t cache_len);

// What hides a column in masks without infinities. Apple advises it for the Neural Engine. The
// exponential of a score and this is 0 beside one that is seen.
inline constexpr int64_t kFiniteHidden = -40000;

// Where a method has its inputs and outputs.
struct Places {
  size_t tokens = 0;
  static constexpr size_t kTokenAxis = 1;  // of that input
  std::vector<size_t> masks;               // by layer class
  std::vector<size_t> cos, sin;            // by RoPE table
  std::optional<size_t> last_position;
  std::vector<size_t> key_inputs, value_inputs;    // by layer
  std::vector<size_t> key_outputs, value_outputs;  // by layer
  size_t logits = 0;
};

}  // namespace diptych::contract
