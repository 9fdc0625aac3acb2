"""`python -m unittest` in this folder: the PyTorch model, the file and the numpy forward mean the same. Needs no training."""
import os
import tempfile
import unittest

import numpy as np
import torch

import bpe
import corpus
import export
import gguf
from forward import Llama
from model import Config, Model
from train import weights

CONFIG = Config(vocab=256 + 100 + 3, width=64, blocks=2, heads=4, kv_heads=2, head_dim=32, hidden=96, context=64)


class SameMeaning(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(1)
        cls.tok = bpe.Tokenizer(bpe.train(corpus.documents(200), 100, corpus.SPECIALS), corpus.SPECIALS)
        cls.model = Model(CONFIG)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "random.gguf")
            gguf.write(path, export.metadata(CONFIG, cls.tok), [(n, p.numpy()) for n, p in cls.model.state_dict().items()])
            cls.file, stored = Llama(path, np.float64), gguf.Reader(path).tensors
        cls.model.load_state_dict({n: torch.tensor(t) for n, t in stored.items()})  # the rounded weights

    def torch_logits(self, ids, document):
        with torch.no_grad():
            return self.model(torch.tensor([ids]), torch.tensor([document]))[0].numpy()

    def test_numpy_forward_is_the_torch_model(self):
        ids = self.tok.encode("Once upon a time, there was a fox. What is 3 plus 4?")
        want = self.torch_logits(ids, [0] * len(ids))
        self.file.reset()
        np.testing.assert_allclose(self.file.feed(ids), want, atol=2e-4)
        self.file.reset()
        np.testing.assert_allclose(np.concatenate([self.file.feed([i]) for i in ids]), want, atol=2e-4)

    def test_documents_in_a_row_do_not_see_each_other(self):
        second = self.tok.encode("The fox was happy.")
        alone = self.torch_logits(second, [1] * len(second))
        for first in ("One day,", "Two owls"):
            ids = self.tok.encode(first)
            row = self.torch_logits(ids + second, [0] * len(ids) + [1] * len(second))
            np.testing.assert_allclose(row[len(ids):], alone, atol=2e-4)  # rotary positions are relative

    def test_what_a_user_says_counts_little(self):
        ids = self.tok.encode(corpus.render([("user", "Hi"), ("assistant", "Hello!")]))
        got = weights(ids, self.tok.id[corpus.START], self.tok.encode("user")[0], self.tok.id[corpus.STOP])
        low = self.tok.decode([i for i, w in zip(ids, got) if w < 1])
        self.assertIn("Hi", low)
        self.assertNotIn("Hello", low)


if __name__ == "__main__":
    unittest.main()
