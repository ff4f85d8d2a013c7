"""TextCNN on torch and here."""

import numpy
from model_checks import check_model

IDS = numpy.random.default_rng(0).integers(0, 20, (3, 9))


def test_textcnn():
    def loss(model, torch, tensor):
        model.eval()
        logits = model(tensor(IDS))
        return torch.nn.functional.cross_entropy(logits, tensor([0, 2, 1])), (logits,)

    check_model("textcnn", lambda m, torch: m.TextCNN(20, 3, embed_dim=7, num_filters=5), loss)
