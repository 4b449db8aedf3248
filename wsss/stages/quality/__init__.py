"""How good pseudo masks are, by signals that need no true mask.

A mask on which several ways to make it agree tends to be right. Agreements are mean IoUs of two masks, over
the values that one of them has:

- `network`: with the prediction of the segmentation network on the same image, kept to the image's labels;
  only where the study segments train,
- `alpha`: with the walk's masks over a weaker and a stronger background, the mean of both,
- `dense_crf`: with the mask before the dense CRF; only where the walk is refined,
- `walk`: with the mask of the CAMs over the same background without a walk,
- `confident`: with the confident regions, over their decided pixels; only where the study labels them.

The others are shares of the image's pixels, or of the labels:

- `margin`: mean difference of the best and the second best of the walked scores, background included,
- `contour`: the same within 2 % of the longest side of the mask's outlines,
- `changed`: pixels that the dense CRF gave to another value,
- `vanished`: labels with less than a thousandth of the image,
- `area`: pixels of any class.
"""
