"""Plans that are refused before any work, with the line and what is valid there."""

import unittest

from sweeping import DEMO, HEAD, RECIPES, Directory, texts


class Plans(Directory):
    def refused(self, wanted, *parts):
        """The plan is refused at the line that a comment "# here" marks, if there is one."""
        plan = self.plan(*parts)
        marked = [number for number, line in enumerate(plan.read_text().split("\n"), 1) if "# here" in line]
        err = self.sweep(plan, status=2)
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn(f"plan.toml:{marked[0]}: {wanted}" if marked else wanted, err)
        self.assertFalse((self.directory / "plan" / "exports").exists())

    def test_unknown_keys_and_the_valid_ones(self):
        self.refused(
            "unknown key 'txts', expected one of models, recipes, shapes, texts,", HEAD, RECIPES, "[txts.a] # here\n"
        )
        self.refused(
            "unknown key 'checkpont', expected one of checkpoint, params,", HEAD, "checkpont = 'x' # here\n", RECIPES
        )
        self.refused("unknown key 'recip', expected one of models,", HEAD, "[recipes.a]\nrecip = 'best' # here\n")
        self.refused(" linear_quantize,", HEAD, "[recipes.a]\nrecip = 'best'\n")
        self.refused("unknown key 'output',", HEAD, "[recipes.a]\noutput = 'here.pte' # here\n")
        self.refused("unknown key 'pace', expected one of numerics,", HEAD, RECIPES, "[measure]\npace = true # here\n")

    def test_values(self):
        self.refused("file: there is no ", HEAD, RECIPES, "[texts.a]\nfile = 'none.txt' # here\n")
        (self.directory / "empty.txt").write_text("")
        for name in (".", "empty.txt"):
            text = f"[texts.a]\nfile = '{name}' # here\n"
            self.refused("file: expected a file that is not empty, found ", HEAD, RECIPES, text)
        self.refused("shards: expected 1 to 1000000000, found 0", HEAD, RECIPES, texts("0 # here"))
        self.refused("shards: expected a whole number, found '3'", HEAD, RECIPES, texts("'3' # here"))
        self.refused("expected a key 'file'", HEAD, RECIPES, "[texts.a] # here\n")
        self.refused("multifunction: expected true or false,", HEAD, "[recipes.a]\nmultifunction = 'yes' # here\n")
        self.refused("numerics: expected one of precise, fast, typed, found 'loose'", HEAD, RECIPES,
                     "[measure]\nnumerics = 'loose' # here\n")  # fmt: skip
        self.refused("reference: expected one of best, upstream,", HEAD, RECIPES, "[measure]\nreference = 'x' # here\n")
        self.refused(
            "there is no model 'other', expected one of demo", HEAD, "[recipes.a]\nmodels = ['other'] # here\n"
        )

    def test_what_cannot_be_combined(self):
        self.refused("recipe 'a' of model 'demo': diptych export:", HEAD, "[recipes.a] # here\nrecipe = 'finest'\n")
        self.refused("balanced", HEAD, "[recipes.a]\nrecipe = 'finest'\n")
        self.refused("recipe 'a' of model 'demo'", HEAD, "[recipes.a] # here\nlinear_quantize = 'c5w'\n")
        self.refused(
            "max_context_len: models.demo (line 2) has it too", HEAD, "[recipes.a]\nmax_context_len = 128 # here\n"
        )
        self.refused("context: expected at most 64", HEAD, RECIPES, texts(), "context = 65 # here\n")

    def test_texts_that_are_no_plans(self):
        self.refused("plan.toml: ", "[models\n")
        self.refused("expected a table [models.NAME] at least", "")
        self.refused("models: expected tables [models.NAME]", "models = 3 # here\n")
        self.refused("there is no", HEAD.replace("model.pth", "none.pth"), RECIPES)
        (self.directory / "bytes.toml").write_bytes(b"a = 3\n\xff\n")
        self.assertIn(
            "bytes.toml:2: expected UTF-8, found byte 0xff", self.sweep(self.directory / "bytes.toml", status=2)
        )
        self.assertIn("none.toml: No such file", self.sweep(self.directory / "none.toml", status=2))

    def test_lines_behind_values_of_several_lines(self):
        several = f'[models.demo]\ncheckpoint = """\n{DEMO}/model.pth"""\nparams = """\n{DEMO}/params.json"""\n'
        lists = "prefill_len = [\n 16,\n 32,\n]\n"
        self.refused("unknown key 'recip'", several, lists, "[recipes.a]\n\nrecip = 3 # here\n")


if __name__ == "__main__":
    unittest.main()
