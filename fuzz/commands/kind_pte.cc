// .pte files: their words, the tables in them, and what they say of the model.

#include "base/stream.h"
#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"
#include "pte/reader.h"
#include "pte/writer.h"
#include "pte_pieces.h"

namespace diptych::fuzz {

namespace {

constexpr std::string_view kCardData = "diptych.";

void mutate_values(pte::Method& method, Random& random) {
  if (method.values.empty()) return;
  pte::EValue& value = method.values[random.below(method.values.size())];
  if (auto* tensor = std::get_if<pte::Tensor>(&value)) {
    switch (random.below(4)) {
      case 0:
        tensor->scalar_type = static_cast<pte::ScalarType>(random.below(30));
        break;
      case 1:
        tensor->sizes.push_back(1);
        break;
      case 2:
        tensor->dynamism = pte::ShapeDynamism::BoundedDynamic;
        break;
      default:
        if (!tensor->sizes.empty()) {
          tensor->sizes[random.below(tensor->sizes.size())] =
              static_cast<int32_t>(hostile_integer(random));
        }
    }
  } else if (std::get_if<std::string>(&value) != nullptr || random.one_in(4)) {
    value = hostile_text(random);
  } else if (random.one_in(4)) {
    value = 1e300;
  } else {
    value = static_cast<int64_t>(hostile_integer(random));
  }
}

// What the tables say: names, values, arguments, specs.
void mutate_tables(pte::Program& program, Random& random) {
  pte::Method& method = program.methods[random.below(program.methods.size())];
  switch (random.below(9)) {
    case 0:
      method.name = hostile_text(random);
      break;
    case 1:
      program.methods.pop_back();
      break;
    case 2:
      std::swap(method, program.methods[random.below(program.methods.size())]);
      break;
    case 3:
      if (!method.delegates.empty()) {
        pte::Delegate& delegate = method.delegates[random.below(method.delegates.size())];
        if (random.one_in(2) || delegate.compile_specs.empty()) {
          delegate.backend = hostile_text(random);
        } else {
          pte::CompileSpec& spec =
              delegate.compile_specs[random.below(delegate.compile_specs.size())];
          (random.one_in(2) ? spec.key : spec.value) = hostile_text(random);
        }
      }
      break;
    case 4:
      (random.one_in(2) ? method.input_spec : method.output_spec) = hostile_text(random);
      break;
    case 5:
      if (!method.inputs.empty()) method.inputs.pop_back();
      break;
    case 6:
      if (!method.instructions.empty()) {
        method.instructions.push_back(
            method.instructions[random.below(method.instructions.size())]);
      }
      break;
    default:
      mutate_values(method, random);
  }
}

// Text under names: tokenizer, its rules, template, sampling defaults.
void mutate_card(std::vector<Payload>& payloads, Random& random) {
  std::vector<Payload*> texts;
  for (Payload& payload : payloads) {
    if (payload.key.starts_with(kCardData)) texts.push_back(&payload);
  }
  if (texts.empty()) return;
  Payload& text = *random.pick(texts);
  if (random.one_in(6)) {
    text.bytes = hostile_text(random);
  } else if (random.one_in(8)) {
    text.key = random.one_in(2) ? payloads.back().key : hostile_text(random);
  } else {
    mutate_json(text.bytes, random);
  }
}

class PteKind : public Kind {
 public:
  explicit PteKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "pte"; }

  Files seed(Random& random) const override { return program_files(models_, random); }

  void mutate(Files& files, Random& random) const override {
    std::string& file = files[program_path(files)];
    auto program = pte::read(as_bytes(file));
    if (!program || random.one_in(3)) {
      // Mostly the tables, where every word counts.
      const bool tables = program && random.below(4) != 0;
      return mutate_bytes(file, random, tables ? program->layout.program_size : SIZE_MAX);
    }
    if (random.one_in(2)) {
      std::vector<Payload> payloads;
      if (read_payloads(file, &payloads)) mutate_card(payloads, random);
      if (!replace_payloads(file, payloads)) mutate_bytes(file, random);
      return;
    }
    mutate_tables(*program, random);
    const auto source = pte::write(*program);
    const auto bytes = source ? read_all(**source) : std::vector<std::byte>();
    if (bytes && !bytes->empty()) {
      file = std::string(as_text(*bytes));
    } else {
      mutate_bytes(file, random, program->layout.program_size);
    }
  }

  Command command(const Files& files, Random& random) const override {
    return program_command(program_path(files), random);
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> pte_kind(const Models& models) {
  return std::make_unique<PteKind>(models);
}

}  // namespace diptych::fuzz
