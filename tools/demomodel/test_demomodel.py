"""`python -m unittest` in this folder: the corpus, the tokenizer and the file format keep their promises. Needs no training."""
import random
import unittest

import jinja2
import numpy as np

import bpe
import chats
import corpus
import facts
import gguf
import unknown


class Corpus(unittest.TestCase):
    def test_same_seed_same_documents(self):
        self.assertEqual(list(corpus.documents(200)), list(corpus.documents(200)))

    def test_rendering_is_the_templates(self):
        template = jinja2.Template(corpus.CHAT_TEMPLATE)
        r = random.Random(1)
        for _ in range(200):
            turns = chats.make(r)
            messages = [{"role": role, "content": content} for role, content in turns]
            self.assertEqual(template.render(messages=messages), corpus.render(turns))
            self.assertEqual(template.render(messages=messages, add_generation_prompt=True), corpus.render(turns, prompt=True))

    def test_nothing_is_both_taught_and_declined(self):
        taught = {q for f in facts.all_facts() for q in f.taught}
        for q in unknown.TAUGHT_SAMPLE + unknown.held():
            self.assertNotIn(q, taught)

    def test_held_out_refusals_are_not_taught(self):
        self.assertFalse(set(unknown.held()) & set(unknown.TAUGHT_SAMPLE))

    def test_sentences_start_with_a_capital_and_have_single_spaces(self):
        for text in corpus.documents(300):
            self.assertNotIn("  ", text)
            self.assertNotRegex(text, r"\. (?!sandwarp)[a-z]")


class Tokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tok = bpe.Tokenizer(bpe.train(corpus.documents(300), 200, corpus.SPECIALS), corpus.SPECIALS)

    def test_any_text_survives(self):
        for text in ["", " ", "\n\n  x", "Grüße, Ωmega, 漢字 and 🙂", "it's 2026", "\x00\x7f\u200b", "a  b\r\n\tc"]:
            self.assertEqual(self.tok.decode(self.tok.encode(text)), text)

    def test_every_byte_is_a_token(self):
        self.assertEqual({bpe.BYTE_OF[t] for t in self.tok.tokens if len(t) == 1}, set(range(256)))

    def test_digits_stand_alone(self):
        self.assertEqual(bpe.pieces("12 + 7"), ["1", "2", "Ġ+", "Ġ", "7"])

    def test_specials_are_one_token(self):
        self.assertEqual(self.tok.encode(corpus.START + corpus.STOP), [self.tok.id[corpus.START], self.tok.id[corpus.STOP]])


class Format(unittest.TestCase):
    def test_q8_0_error_is_at_most_half_a_step(self):
        x = np.random.default_rng(1).standard_normal((8, 64), dtype=np.float32)
        x[0, :32] = 0
        y = gguf.dequantize_q8_0(gguf.quantize_q8_0(x)).reshape(x.shape)
        step = np.abs(x.reshape(-1, 32)).max(1, keepdims=True) / 127
        self.assertTrue((np.abs(x - y).reshape(-1, 32) <= step * 0.57).all())  # half a step and the F16 rounding of 127 steps
        self.assertTrue((y[0, :32] == 0).all())


if __name__ == "__main__":
    unittest.main()
