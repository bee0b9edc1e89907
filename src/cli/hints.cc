#include "cli/hints.h"

namespace diptych::cli {

namespace {

struct SettingRow {
  Setting setting;
  std::string_view option;
};
constexpr SettingRow kSettings[] = {
    {Setting::ContextLength, "--max_context_len"}, {Setting::InputLength, "--input_len"},
    {Setting::PrefillLengths, "--prefill_len"},    {Setting::VerifyLength, "--verify_len"},
    {Setting::MostUnshared, "--max_unshared"},     {Setting::SplitSize, "--target_split_size"},
    {Setting::MostSplits, "--max_splits"},         {Setting::FormatOverride, "--quantize_override"},
    {Setting::Algorithm, "--quant_algorithm"},     {Setting::Calibration, "--calibration"},
    {Setting::TargetSize, "--target_size"},
};

// The first row that fits counts; one with a command is for that one alone.
struct AdviceRow {
  Advice advice;
  std::string_view command;
  std::string_view text;  // "{}": the hint's number
};
constexpr AdviceRow kAdvice[] = {
    {Advice::LongerContext, "chat", "shorten it or export with a larger --max_context_len"},
    {Advice::LongerContext, "", "give fewer tokens or export with a larger --max_context_len"},
    {Advice::ForgetTurns, "", "/undo or /reset, or choose --on-full slide or --on-full reset"},
    {Advice::AllLogits, "", "export with --verify_len 16 or --single_method"},
    {Advice::LongerInput, "",
     "give smaller sizes or export with --verify_len {} (--input_len with one method)"},
    {Advice::GreedyDecoding, "",
     "leave --temperature at 0 and give no penalties, --logit-bias, --logprobs, --grammar or "
     "--json-schema"},
    {Advice::WiderNumerics, "", "numerics that do not round to fp16 may help (--numerics precise)"},
    {Advice::NameTokenizer, "run",
     "name one (-t), or give ids (--ids) and print ids (--print-ids)"},
    {Advice::NameTokenizer, "eval", "name one for the text (-t)"},
    {Advice::NameTokenizer, "", "name one (-t)"},
    {Advice::NameChatTemplate, "", "name one (--chat-template)"},
    {Advice::LeaveTokenizer, "", "--no-tokenizer exports the model without it"},
    {Advice::NameParams, "", "name it with --params"},
    {Advice::NameCalibration, "", "name it with --calibration"},
    {Advice::WiderType, "", "export with --dtype fp32"},
    {Advice::OnePackage, "", "--no_graph_breaks makes it one"},
    {Advice::OtherFamily, "", "choose another family or --format meta"},
    {Advice::FamilysForm, "", "choose --format hf or gguf"},
    {Advice::ReplaceModel, "", "name another directory, or replace it with --force"},
    {Advice::MergeParts, "", "merge them with llama-gguf-split --merge"},
};

}  // namespace

std::string hint_text(const Hint& hint, std::string_view command) {
  for (const AdviceRow& row : kAdvice) {
    if (row.advice != hint.advice) continue;
    if (row.command.empty() || row.command == command) {
      return fmt::format(fmt::runtime(row.text), hint.number);
    }
  }
  return {};
}

Error worded(Error error, std::string_view command) {
  for (const SettingRow& row : kSettings) {
    if (row.setting == error.setting)
      error.message = fmt::format("{}: {}", row.option, error.message);
  }
  const std::string hint = hint_text(error.hint, command);
  if (!hint.empty()) error.message += "; " + hint;
  error.setting = Setting::None;
  error.hint = {};
  return error;
}

}  // namespace diptych::cli
