import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score

torch.manual_seed(3)
x, y = torch.randn(60, 4), torch.randint(0, 3, (60,))
model = nn.Linear(4, 3)
model.eval()
with torch.no_grad():
    logits = model(x)
    probabilities = F.softmax(logits, dim=1)
predicted = probabilities.argmax(dim=1)
print(classification_report(y.numpy(), predicted.numpy(), zero_division=0))
print(confusion_matrix(y, predicted))
print(f"{accuracy_score(y, predicted):.4f} {f1_score(y, predicted, average='macro'):.4f}")
values, indices = torch.topk(probabilities[:3], k=2)
print(values, indices)
for row in probabilities[:2]:
    best = row.argmax().item()
    print(["negative", "neutral", "positive"][best], f"{row[best]:.2%}", f"{row[best].item():.3f}")
